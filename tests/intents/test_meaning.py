"""A rewording keeps the meaning: nonsense around the right names is refused, honest paraphrases are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ise_gym.checks import build_check
from ise_gym.intents.intent import Intent
from ise_gym.intents.llm.cache import AnswerCache
from ise_gym.intents.llm.endpoint import Endpoint
from ise_gym.intents.llm.meaning import meaning, meaning_problem, meanings
from ise_gym.intents.llm.prompt import Wording, kept_words, wording_problem
from ise_gym.intents.llm.realiser import LLMRealiser
from ise_gym.intents.llm.second import second_reading
from ise_gym.intents.source import IntentSource
from openai_server import Answer, reply, serve

pytest.importorskip("openai")

NONSENSE = (
    "Forget everything about {k}.",
    "Never mind {k}, we are fine.",
    "I like the sound of {k}.",
    "{k}!",
    "My grandmother sang about {k} in the rain.",
    "Ignore {k} for ever.",
    "The weather near {k} is lovely, isn't it?",
    "Don't touch {k}, please.",
    "Somebody once told me a story of {k}.",
    "Bananas, {k}, and a cup of tea.",
)


@pytest.fixture(scope="module")
def source() -> IntentSource:
    return IntentSource("train", tasks_per_intent=1)


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_nonsense_that_only_holds_the_protected_words_is_refused(source: IntentSource, nonsense: str) -> None:
    accepted = []
    for seed in range(30):
        intent = source.intent(seed)
        said = tuple(nonsense.format(k=", ".join(keep) or "it") for keep in kept_words(intent))
        if not wording_problem(Wording(said, " ".join(said)), intent):
            accepted.append((intent.id, said))
    assert accepted == []


def test_the_catalogs_own_words_are_never_refused() -> None:
    for tasks in (1, 3):
        own = IntentSource("train", tasks_per_intent=tasks)
        for seed in range(100, 140):
            intent = own.intent(seed)
            assert wording_problem(Wording(intent.utterances, intent.text), intent) == ""


def test_what_all_wordings_ask_for_is_the_meaning() -> None:
    wanted = meaning(
        "Sort a.csv by date, newest first, and write b.json with total and mean, rounded to two decimals.",
        [
            "a.csv, newest first, into b.json: total, mean (2 decimals), sorted",
            "Please put a.csv in order, the newest first, and create b.json with total and mean, rounded.",
        ],
        [build_check("json", {"path": "b.json", "equals": {"total": 1, "mean": 2, "hidden": 3}})],
    )
    assert set(wanted.work) == {"write", "sort"} and set(wanted.form) == {"descending order", "rounding"}
    assert wanted.keys == ("total", "mean")
    good = "could you save b.json from a.csv? order by date, latest first; total and mean, two decimals"
    assert meaning_problem(good, wanted) == ""
    for cut, said in (
        (", two decimals", "no longer says: rounding"),
        (", latest first", "no longer says: descending order"),
        ("total and ", "lost the keys 'total'"),
    ):
        assert said in meaning_problem(good.replace(cut, ""), wanted)
    assert "calls its wish off" in meaning_problem(f"{good}. Actually, scrap that.", wanted)


PARAPHRASES = (
    ("Compare a.txt with b.txt. Write alpha or north, whichever is larger, to c.txt.",
     "Which of a.txt and b.txt holds the larger figure? Put alpha or north into c.txt, accordingly."),
    ("Please repair a.json so that it is valid JSON again.", "a.json is broken; could you get it to work again?"),
    ("Delete every file in old/ that is larger than 5 MB.", "I'd like the files above 5 MB gone: please remove them from old/."),
    ("Count the lines of log.txt and write the number to n.txt.", "How many lines does log.txt have? Put that into n.txt."),
    ("Rename a.md to b.md.", "a.md shall be called b.md; please move it."),
    ("Send the summary to Ana by mail.", "Could you mail Ana the summary?"),
    ("Sort names.txt alphabetically, each name once.", "names.txt should be in alphabetical order without duplicates."),
    ("Run tests.py and fix what fails.", "Please execute tests.py, then correct whatever is wrong."),
)  # fmt: skip


@pytest.mark.parametrize(("plain", "said"), PARAPHRASES)
def test_honest_paraphrases_pass(plain: str, said: str) -> None:
    assert meaning_problem(said, meaning(plain, [plain, said])) == ""


def reader(asks: list[str], same: bool, missing: tuple[str, ...] = ()) -> Any:
    """A model that words well and reads what it is told to."""

    def answer(body: dict[str, Any]) -> Answer:
        instruction, material = body["messages"][0]["content"], json.loads(body["messages"][1]["content"])
        if "You write messages" in instruction:
            said = [f"Right then: {request['request']}" for request in material["requests"]]
            return reply(json.dumps({"messages": said, "intent": " ".join(said)}))
        if "You read messages" in instruction:
            return reply(json.dumps({"messages": [{"asks": asks} for _ in material["messages"]]}))
        assert all(set(pair) == {"number", "request", "told"} for pair in material)
        orders = [{"missing": list(missing), "added": [], "same": same} for _ in material]
        return reply(json.dumps({"orders": orders}))

    return answer


@pytest.mark.parametrize(
    ("asks", "same", "missing", "origin", "why"),
    [
        (["sort it"], True, (), "model", ""),
        ([], True, (), "template", "asks for nothing"),
        (["sort it"], False, ("the column names",), "template", "the column names"),
    ],
)
def test_a_second_reading_decides(
    source: IntentSource,
    tmp_path: Path,
    asks: list[str],
    same: bool,
    missing: tuple[str, ...],
    origin: str,
    why: str,
) -> None:
    intent: Intent = source.intent(3)
    cache = AnswerCache(tmp_path / "a.jsonl")
    with serve(reader(asks, same, missing)) as server:
        endpoint = Endpoint("m", server.url, max_retries=0)
        realiser = LLMRealiser(endpoint, cache, tries=2, read_again=True)
        found = realiser.realise(intent)
        asked = len(server.bodies)
        assert realiser.realise(intent).cached and len(server.bodies) == asked
        assert LLMRealiser(endpoint, cache, tries=2).key(intent) != realiser.key(intent)
    cache.close()
    assert found.origin == origin and (not why or why in found.rejected[0])


@pytest.mark.parametrize("bad", ["", "{}", '{"messages": []}', '{"messages": [1]}', "[]"])
def test_a_reading_that_cannot_be_read_is_no_consent(bad: str) -> None:
    assert (
        "could not be read"
        in second_reading(lambda conversation, schema: bad, ["Sort it."], ["Sort it."]).problem
    )


def test_the_author_is_told_what_must_be_asked_for(source: IntentSource) -> None:
    from ise_gym.intents.llm.prompt import messages_for

    intent = source.intent(0)
    requests = json.loads(messages_for(intent)[1]["content"])["requests"]
    assert [r["must"] for r in requests] == [[*m.work, *m.form] for m in meanings(intent)]


@pytest.mark.parametrize("self_contained", [False, True])
def test_words_that_an_agent_fails_with_are_given_up(tmp_path: Path, self_contained: bool) -> None:
    from ise_gym.intents.lines import IntentFileSource, IntentLine, carried
    from ise_gym.intents.pool.generate import generate
    from ise_gym.messages import canonical_json, sha256_of
    from ise_gym.proving.reworded import give_up_unplayable

    path = generate(
        3, 0, tmp_path, split="train", tasks_per_intent=1, tier="easy", self_contained=self_contained
    )
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    intents = [IntentSource(**line["options"]).intent(line["seed"]) for line in lines]
    source = IntentFileSource(path)
    for line, intent in zip(lines[:2], intents, strict=False):
        said = [f"Right then: {text}" for text in intent.utterances]
        line |= {
            "utterances": said,
            "whole": " ".join(said),
            "template_sha256": sha256_of(intent.text),
            "realiser": {"name": "llm", "origin": "model"},
        }
        if self_contained:
            source.entry(0)
            line["scenario"] = carried(source.drawn(IntentLine.model_validate(line), intent))
    path.write_text("".join(canonical_json(line) + "\n" for line in lines))
    assert give_up_unplayable(path) == (2, [])
    assert [json.loads(text) for text in path.read_text().splitlines()] == lines
    assert give_up_unplayable(path, agent="lazy") == (2, [line["id"] for line in lines[:2]])
    after = [json.loads(text) for text in path.read_text().splitlines()]
    assert [line["utterances"] for line in after[:2]] == [list(intent.utterances) for intent in intents[:2]]
    assert [line["whole"] for line in after[:2]] == [intent.text for intent in intents[:2]]
    assert after[0]["realiser"]["origin"] == "template" and after[2] == lines[2]
    for scenario, intent in zip(IntentFileSource(path), intents, strict=True):
        assert [request.text for request in scenario.requests] == list(intent.utterances)
