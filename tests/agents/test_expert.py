from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ise_gym.agents.expert import AGAIN, CLOSING, ExpertAgent, LazyAgent, compiled, current_assignment
from ise_gym.messages import assistant, system, tool_calls_of, tool_result, user
from ise_gym.scenario import PlanStep, Request, Scenario
from made_scenarios import make_scenario

GREET = "Please put héllo into greet.txt."
COUNT = "Could you put the number of lines of data.txt into count.txt?"


def play(agent: Any, scenario: Scenario, texts: Any, seed: int = 0) -> Any:
    """Answer each user text to the end of the turn; tool results are made up, since the expert is scripted."""
    agent.reset(scenario, seed)
    messages = [system("You work.")]
    for text in texts:
        messages.append(user(text))
        while True:
            message = agent.act(messages, [])
            messages.append(message)
            if not tool_calls_of(message):
                break
            messages.append(tool_result("call", "exec", "", success=True))
    return messages


def calls_by_turn(messages: Any) -> Any:
    turns = []  # type: ignore[var-annotated]
    for message in messages:
        if message["role"] == "user":
            turns.append([])
        elif message["role"] == "assistant":
            turns[-1] += [call["function"]["name"] for call in tool_calls_of(message)]
    return turns


def replies(messages: Any) -> Any:
    return [m["content"] for m in messages if m["role"] == "assistant" and not tool_calls_of(m)]


def test_plays_each_plan_and_then_its_reply(scenario: Scenario) -> None:
    messages = play(ExpertAgent(), scenario, [GREET, f"Lovely, thanks. {COUNT}"])
    assert calls_by_turn(messages) == [["exec", "write"], ["exec"]]
    assert replies(messages) == [r.reply for r in scenario.requests]


def test_asked_again_redoes_the_key_steps(scenario: Scenario) -> None:
    messages = play(ExpertAgent(), scenario, [GREET, "Hm, I don't see it.", "Still not.", COUNT, "And now?"])
    assert calls_by_turn(messages) == [["exec", "write"], ["write"], ["write"], ["exec"], ["exec"]]
    assert replies(messages)[1] == f"{AGAIN} {scenario.requests[0].reply}"


def test_the_same_words_again_count_as_asking_again(scenario: Scenario) -> None:
    messages = play(ExpertAgent(), scenario, [GREET, f"To be clear: {GREET}"])
    assert calls_by_turn(messages) == [["exec", "write"], ["write"]]


def test_all_requests_in_one_message(scenario: Scenario) -> None:
    messages = play(ExpertAgent(), scenario, [f"{COUNT} And: {GREET}"])
    assert calls_by_turn(messages) == [["exec", "write", "exec"]]


def test_rephrased_requests_are_known_by_their_facts(scenario: Scenario) -> None:
    agent = ExpertAgent()
    messages = play(
        agent, scenario, ["put the word héllo in greet.txt ok?", "now count.txt please", "greet.txt?"]
    )
    assert calls_by_turn(messages) == [["exec", "write"], ["exec"], ["write"]]


def test_a_first_message_without_a_wish_is_worked_on_by_nobody(scenario: Scenario) -> None:
    messages = play(ExpertAgent(), scenario, ["Hi, you know what to do.", GREET])
    assert calls_by_turn(messages) == [[], ["exec", "write"]]
    assert replies(messages)[0] == "What do you need?"


def test_a_shorter_request_inside_a_longer_one_is_not_meant() -> None:
    short = Request("t/a", "Sort the file.", plan=(PlanStep("exec", {"command": "a"}, key=True),), reply="A.")
    long = replace(short, name="t/b", text="Sort the file. Then count it.", reply="B.")
    scenario = make_scenario(requests=(short, long))
    work = current_assignment(scenario, [user("Sort the file. Then count it.")])
    assert [r.name for r in work.requests] == ["t/b"]
    assert replies(play(ExpertAgent(), scenario, ["Sort the file.", "Sort the file. Then count it."])) == [
        "A.",
        "B.",
    ]


def test_equal_requests_are_taken_in_turn() -> None:
    one = Request("t/a", "Again, please.", plan=(PlanStep("exec", {"command": "a"}, key=True),), reply="A.")
    scenario = make_scenario(requests=(one, replace(one, name="t/b", reply="B.")))
    assert replies(play(ExpertAgent(), scenario, ["Again, please.", "Again, please."])) == ["A.", "B."]


def test_nothing_to_do() -> None:
    assert replies(play(ExpertAgent(), make_scenario(requests=()), ["Thanks!"])) == [CLOSING]


def test_words_without_a_call_never_end_the_turn() -> None:
    plan = [
        PlanStep(say="First I look."),
        PlanStep("exec", {"command": "ls"}, say="Looking."),
        PlanStep(say="Good."),
        PlanStep(say="Enough."),
    ]
    steps, waiting = compiled(plan)
    assert [(s.tool, s.say) for s in steps] == [("exec", "First I look. Looking.")]
    assert waiting == "Good. Enough."


def test_a_fork_continues_like_the_original(scenario: Scenario) -> None:
    agent = ExpertAgent(0.5)
    messages = play(agent, scenario, [GREET, "no?", COUNT, "hm?"], seed=11)
    for position, message in enumerate(messages):
        if message["role"] == "assistant":
            fresh = ExpertAgent(0.5)
            fresh.reset(scenario, 11)
            assert fresh.act(messages[:position], []) == message


def test_quality_is_the_rate_of_complete_plans(scenario: Scenario) -> Any:
    def writes(quality: float, seed: int) -> Any:
        return calls_by_turn(play(ExpertAgent(quality), scenario, [GREET], seed))[0].count("write")

    assert sum(writes(0.7, seed) for seed in range(400)) == pytest.approx(280, abs=40)
    assert all(writes(1.0, seed) == 1 for seed in range(20))
    assert not any(writes(0.0, seed) for seed in range(20))


def test_a_botched_request_is_claimed_all_the_same(scenario: Scenario) -> None:
    messages = play(ExpertAgent(0.0), scenario, [GREET])
    assert calls_by_turn(messages) == [["exec"]]
    assert replies(messages) == [scenario.requests[0].reply]


def test_lazy_agent_only_talks(scenario: Scenario) -> None:
    messages = play(LazyAgent(), scenario, [GREET, "Where is it?", COUNT])
    assert calls_by_turn(messages) == [[], [], []]
    assert replies(messages) == [
        scenario.requests[0].reply,
        scenario.requests[0].reply,
        scenario.requests[1].reply,
    ]


@pytest.mark.parametrize("agent", [ExpertAgent(), LazyAgent()])
def test_reset_comes_first(agent: Any) -> None:
    with pytest.raises(RuntimeError, match="reset"):
        agent.act([user("hi")], [])


def test_arguments_and_words_of_a_step(scenario: Scenario) -> None:
    agent = ExpertAgent()
    agent.reset(scenario, 0)
    step = scenario.requests[0].plan[0]
    message = agent.act([user(GREET)], [])
    assert message == assistant(step.say, [{**tool_calls_of(message)[0]}])
    assert tool_calls_of(message)[0]["function"]["arguments"] == '{"command": "cat greet.txt"}'


@pytest.mark.parametrize(
    ("agent", "outcome", "score"),
    [(ExpertAgent(), "passed", 1.0), (ExpertAgent(0.0), "failed", 0.0), (LazyAgent(), "failed", 0.0)],
)
def test_in_the_real_env(env: Any, scenario: Scenario, agent: Any, outcome: str, score: float) -> None:
    env.reset(seed=4, options={"scenario": scenario})
    episode = env.unwrapped.episode
    agent.reset(scenario, 4)
    over = False
    while not over:
        _, _, terminated, truncated, info = env.step(agent.act(episode.messages, episode.tool_schemas))
        over = terminated or truncated
    assert (info["outcome"], info["score"]) == (outcome, score)
