"""The app that openenv.yaml names."""

from ise_gym.adapters.openenv_env import app

__all__ = ["app"]


def main() -> None:
    """Serve it."""
    import uvicorn

    uvicorn.run(app, host="0.0.0.0", port=8000)


if __name__ == "__main__":
    main()
