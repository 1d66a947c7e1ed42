"""Voices change how something is said and never what is asked."""

import random
import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ise_gym.personas.catalog import load_personas
from ise_gym.personas.voice import join, protected_spans, speak, voice_problems
from ise_gym.scenario import Persona

PERSONAS = load_personas()

WORDINGS = {
    "casual": [
        "can you smash the csvs in q3/exports into one file, q3/all.csv? sorted by id pls",
        "there's a script run.sh in tools/ that doesn't work, fix it so it prints 42 and exits 0",
        "merge the folders old and new/. don't overwrite anything that's newer.",
        "i need a list of who owes what from invoices.json, biggest first, put it in owed.txt",
        "Marta says build.py dies with a KeyError: 'region'. sort it out?",
        "rename `final_v2.docx` to report.docx and bin the rest.",
        "how many lines in logs/app.log say ERROR? write just the number to count.txt",
        "so the thing in src/parse.py reads dates wrong. it should take 2025-03-01 and 01.03.2025 both",
    ],
    "collaborative": [
        "Could you help me combine the CSV files in q3/exports into q3/all.csv, sorted by id?",
        "Let's rename every *.txt in notes/ so that it starts with the date. Keep the folder structure as it is.",
        "Write a summary of logs/app.log to out/summary.json with the keys errors and warnings.",
        "We need a config file at conf/app.yaml with port 8080 and debug off.",
        "Can you add a test for parse_date in tests/test_dates.py? It should cover an empty string.",
        "Please move Anna's drafts to archive/2024/ and leave a README.md that lists them.",
        "I'd like the totals per region in totals.csv, with the header region,total.",
        "Sort the entries. Remove duplicates. Save the result to clean/list.txt.",
    ],
    "analytical": [
        "Concatenate all CSVs under q3/exports into q3/all.csv: one header, rows ordered by id.",
        "Compute the mean of column latency_ms in data/run-7.csv. Write it to out/mean.txt with two decimals.",
        "Repair build.sh, then run it and save the output to out/build.log.",
        "Filter rows where status is 'failed'; group by host; write counts to out/failed.json.",
        "Extract all URLs from page.html (e.g. https://example.org/a?b=1) into urls.txt, one per line, deduplicated.",
        'Set the key "retries" to 3 in config.json. Do not reformat the file.',
        "If data/x.csv has fewer than 10 rows, write LOW to status.txt, otherwise OK.",
        "Add an argument --verbose to cli.py that prints each step. Default: off.",
    ],
    "formal": [
        "Please merge the CSV files in q3/exports into q3/all.csv, with one header, sorted by id.",
        "Prepare a report of overdue invoices in ledger/2024.csv and place it in reports/overdue.md.",
        "I would like you to archive the folder old-projects/ as old.tar.gz. Do not delete the originals.",
        "Kindly produce minutes.txt from notes/2025-01-14.md, with one line for each decision.",
        "Verify the checksums in SHA256SUMS. Record every mismatch in mismatches.txt.",
        "Dr. Okafor requires the table of samples in samples.csv, ordered by date, as samples.md.",
        "Would you calculate the VAT at 19 % for each row of orders.csv and add it as a column vat?",
        "The letter in drafts/letter.txt isn't complete. Insert the address from contacts.json.",
    ],
}


def in_order(spans: Sequence[str], text: str) -> bool:
    at = 0
    for span in spans:
        at = text.find(span, at)
        if at < 0:
            return False
        at += len(span)
    return True


def corpus() -> list[tuple[str, str, Persona]]:
    outputs = []
    for number, persona in enumerate(PERSONAS):
        for turn in range(4):
            rng = random.Random(f"{number}/{turn}")
            text = rng.choice(WORDINGS[persona.register])
            said = speak(text, persona, rng, opening=turn == 0, closing=turn == 3)
            outputs.append((text, said, persona))
    return outputs


CORPUS = corpus()


def test_thousands_of_utterances_have_no_mistake() -> None:
    assert len(CORPUS) > 5000
    wrong = {said: problems for _, said, _ in CORPUS if (problems := voice_problems(said))}
    assert wrong == {}


def test_what_is_asked_survives_in_every_utterance() -> None:
    for text, said, persona in CORPUS:
        assert in_order(protected_spans(text), said), (said, persona.communication_style)
        for name in ("Marta", "Anna", "Okafor"):
            assert (name in text) == (name in said.replace(persona.name, "")), said


def test_the_content_words_survive_too() -> None:
    """Only manners, jargon and contractions may go: every longer word of the wording is still there."""
    may_go = {
        "could",
        "would",
        "please",
        "kindly",
        "doesn't",
        "isn't",
        "don't",
        "there",
        "folder",
        "folders",
        "config",
    }
    for text, said, _ in CORPUS:
        words = [w for w in re.findall(r"[a-z']{5,}", text.lower()) if w not in may_go]
        missing = [w for w in words if w not in said.lower()]
        assert missing == [], (text, said)


def test_sentences_start_as_the_style_wants() -> None:
    for _, said, persona in CORPUS:
        starts = re.findall(r"(?:^|[.!?] )([A-Za-z]+)(?=[ ,!])", said.removesuffix(persona.name))
        starts = [
            s for s in starts if s not in protected_spans(said) and s not in (persona.voice["given"], "Dr")
        ]
        if persona.voice["case"] == "sentence":
            assert all(s[0].isupper() for s in starts), said
        elif persona.voice["case"] == "lower":
            assert all(s[0].islower() or s == "Marta" for s in starts), said


def test_voices_differ_from_each_other() -> None:
    text = "Repair build.sh, then run it and save the output to out/build.log."
    said = {speak(text, p, random.Random(i), opening=True) for i, p in enumerate(PERSONAS)}
    assert len(said) > 300


def test_same_rng_same_words() -> None:
    for i, persona in enumerate(PERSONAS[::37]):
        text = WORDINGS[persona.register][i % 8]
        once, twice = (speak(text, persona, random.Random(i), opening=True) for _ in range(2))
        assert once == twice


def test_greetings_only_open_and_signatures_only_close_or_open() -> None:
    persona = next(p for p in PERSONAS if p.communication_style == "classic letter writer")
    text = WORDINGS["formal"][1]
    said = [
        [speak(text, persona, random.Random(i), opening=o, closing=c) for i in range(40)]
        for o, c in ((True, False), (False, False), (False, True))
    ]
    assert any(s.startswith(("Good morning,\n\n", "Dear colleague")) for s in said[0])
    assert not any("\n" in s for s in said[1])
    assert any(s.endswith("regards,\n" + persona.name) for s in said[2])


BLUNT = Persona("A B", "", "", voice={"polite": "blunt"})
POLITE = Persona("A B", "", "", voice={"polite": "polite"})
FULL = Persona("A B", "", "", voice={"contract": "never"})
SHORT = Persona("A B", "", "", voice={"contract": "always"})
TRADE = Persona("A B", "", "", voice={"jargon": "high"})
CHOPPED = Persona("A B", "", "", voice={"length": "short"})
JOINED = Persona("A B", "", "", voice={"length": "long"})
LOWER = Persona("A B", "", "", voice={"case": "lower", "stop": "drop"})
UPPER = Persona("A B", "", "", voice={"case": "sentence"})
CHANGES = [
    (BLUNT, "Could you please merge a.csv and b.csv?", "Merge a.csv and b.csv."),
    (BLUNT, "Could you merge a.csv, or is it too big?", "Could you merge a.csv, or is it too big?"),
    (BLUNT, "Please sort x.txt.", "Sort x.txt."),
    (POLITE, "Merge a.csv and b.csv.", "Please merge a.csv and b.csv."),
    (POLITE, "Merge a.csv: one header.", "Merge a.csv: one header."),
    (FULL, "Don't touch it; it doesn't belong to us.", "Do not touch it; it does not belong to us."),
    (FULL, "Don't you see 'don't' in x.txt?", "Don't you see 'don't' in x.txt?"),
    (
        SHORT,
        "I am sure it is not there. Write 'do not' to x.txt.",
        "I'm sure it isn't there. Write 'do not' to x.txt.",
    ),
    (CHOPPED, "Sort a.csv; keep b.csv.", "Sort a.csv. Keep b.csv."),
    (CHOPPED, "Sort a.csv, and then copy it.", "Sort a.csv. Then copy it."),
    (CHOPPED, "If a.csv is there, sort it; then copy it.", "If a.csv is there, sort it; then copy it."),
    (JOINED, "Sort a.csv. Copy it to b/.", "Sort a.csv, and copy it to b/."),
    (JOINED, "Sort a.csv. Marta needs it.", "Sort a.csv. Marta needs it."),
    (UPPER, "Two lines: last=.. and sum=..", "Two lines: last=.. and sum=.."),
    (UPPER, "use a date, e.g. today, and stop.", "Use a date, e.g. today, and stop."),
    (TRADE, "Copy the folder to b/.", "Copy the directory to b/."),
    (TRADE, "Add a column called folder to x.csv.", "Add a column called folder to x.csv."),
    (
        LOWER,
        "I think Marta wants SQL. Put it in Docs/A.sql.",
        "i think Marta wants SQL. put it in Docs/A.sql",
    ),
    (
        UPPER,
        "for each i in x.json write i to out.txt. i need it.",
        "For each i in x.json write i to out.txt. I need it.",
    ),
    (LOWER, "Look at column I.", "look at column I"),
    (UPPER, "i had a look. can you fix x.py? pytest fails.", "I had a look. Can you fix x.py? pytest fails."),
]


@pytest.mark.parametrize(("persona", "text", "expected"), CHANGES)
def test_a_habit_does_this(persona: Persona, text: str, expected: str) -> None:
    said = {speak(text, persona, random.Random(seed)) for seed in range(30)}
    assert expected in said
    assert all(in_order(protected_spans(text), s) and not voice_problems(s) for s in said)
    if text == expected:
        assert said == {text}


def test_a_persona_without_habits_says_it_as_it_stands() -> None:
    plain = Persona("A B", "", "")
    for texts in WORDINGS.values():
        for text in texts:
            assert speak(text, plain, random.Random(1), opening=True, closing=True) == text
    assert speak("  ", plain, random.Random(1), opening=True) == ""


def test_code_and_lists_are_left_alone() -> None:
    block = "Please run this:\n```\nif I == i: Print('Do not')\n```\n- First item.\n- I am second\n    Indented  Text."
    for i, persona in enumerate(PERSONAS[::9]):
        said = speak(block, persona, random.Random(i), opening=True, closing=True)
        for part in (
            "```\nif I == i: Print('Do not')\n```",
            "\n- First item.",
            "\n- ",
            "\n    Indented  Text.",
        ):
            assert part in said, said


def test_join_recases_only_what_is_no_name() -> None:
    nobody = Persona("", "", "")
    assert join("Next up:", "Merge the files.", nobody) == "Next up: merge the files."
    assert join("also,", "Marta needs x.csv.", nobody) == "also: Marta needs x.csv."
    assert join("Now,", "I need x.csv.", nobody) == "Now, I need x.csv."
    assert join("Moving on.", "Sort x.csv.", nobody) == "Moving on. Sort x.csv."
    assert join("Next:", "x.csv is wrong.", nobody) == "Next: x.csv is wrong."


TOKENS = st.one_of(
    st.sampled_from(
        ["please", "merge", "could", "you", "the", "a", "an", "file", "folder", "do", "not", "don't"]
    ),
    st.sampled_from(
        ["I", "am", "it", "is", "can't", "Marta", "then,", "and.", "sort;", "run?", "if", "cannot"]
    ),
    st.sampled_from(
        [
            "src/A.py",
            "`rm -rf X`",
            '"Do not"',
            "'I am'",
            "JSON",
            "camelCase",
            "12.50",
            "--Flag",
            "a_b",
            "I/O",
            "(x.csv)",
            "https://h.example/A?b=C.",
            "v1.2,",
            "{name}",
            "$HOME",
            "*.CSV",
            "README",
            "Ünïcode/pfad",
            "“Please go”",
            "e.g.",
        ]
    ),
    st.text(min_size=1, max_size=6),
)


@settings(max_examples=250, deadline=None)
@given(
    words=st.lists(TOKENS, max_size=25),
    glue=st.sampled_from([" ", "\n", "  "]),
    who=st.integers(0, len(PERSONAS) - 1),
    seed=st.integers(0, 999),
    opening=st.booleans(),
    closing=st.booleans(),
)
def test_protected_spans_survive_any_text(
    words: list[str], glue: str, who: int, seed: int, opening: bool, closing: bool
) -> None:
    text = glue.join(words)
    said = speak(text, PERSONAS[who], random.Random(seed), opening=opening, closing=closing)
    assert in_order(protected_spans(text), said)


GOOD = [
    "That's the file that that script wrote, in a unit test, an hour ago.",
    'An SQL dump and a URL; use an `a a` or a user\'s "the the" … fine.',
    "Column a is wrong, and option A is too. He had had enough. Bye bye!",
    "Put e.g. 10 10 into x.txt... then stop :)",
    'Use ${HOME}, `{x}` and {"a": 1}. A European one-off is an honest mistake.',
    "Each file carries an SPDX-Header; log 'done {name}' and two lines, subject: ... and author: ...",
    "Take e.g., x.csv, y.csv, etc., i.e. all of them at 9 a.m., please.",
    'Two lines, last=.. and sum=.., then 01, 02.. within a day: {"day":..,"x":1}',
    "Fix it (see a.py), please: it fails, i.e. exits with 1.",
]
BAD = {
    "the the file": "doubled word",
    "Please please do": "doubled word",
    "a old file": "article",
    "an new file": "article",
    "Write an user list": "article",
    "Hello {name}": "placeholder",
    "Put it in {{ out }}": "placeholder",
    "Regards, <given>": "placeholder",
    "Do it..": "double punctuation",
    "Really?!": "double punctuation",
    "x.csv., then": "double punctuation",
    "first,, second": "double punctuation",
    "Stop .": "space before punctuation",
    "one , two": "space before punctuation",
}


@pytest.mark.parametrize("text", GOOD)
def test_the_linter_lets_good_text_pass(text: str) -> None:
    assert voice_problems(text) == []


@pytest.mark.parametrize("text", BAD)
def test_the_linter_finds(text: str) -> None:
    assert any(p.startswith(BAD[text]) for p in voice_problems(text)), voice_problems(text)
