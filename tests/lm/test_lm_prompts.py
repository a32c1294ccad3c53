"""Items are the same under every conjugation; files that cannot be read are refused in one line."""

import json
import string
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from implicit_inference.config.errors import ConfigError
from implicit_inference.lm import languages, maps, prompts
from implicit_inference.lm.prompts import read

EVERY = """
demonstrations = 2
[[pairs]]
name = "sums"
task = "repeat"
instruction = "math"
[[pairs]]
task = "capitalise"
instruction = "blank"
[[pairs]]
task = "repeat"
instruction = "none"
[conjugations]
upper = { map = "upper" }
three = { map = "caesar", shift = 3 }
swapped = { words = { what = "that", plus = "minus" } }
format = { input = "Q", output = "A" }
french = { language = "french" }
german_leet = { language = "german", map = "leet" }
"""


def found(tmp_path, text=EVERY, n=5, draws=(0,)):
    (tmp_path / "prompts.toml").write_text(text)
    return read(tmp_path / "prompts.toml", n, draws)


def by_label(tmp_path, **how):
    return {(p.pair, p.conjugation, p.draw, p.item): p for p in found(tmp_path, **how)}


def test_an_item_is_rendered_under_every_conjugation(tmp_path):
    every = by_label(tmp_path, n=5, draws=(0, 7))
    assert len(every) == 3 * 7 * 2 * 5
    for (pair, kind, draw, item), prompt in every.items():
        plain = every[pair, "identity", draw, item]
        texts = {name: getattr(plain, name) for name in ("prompt", "context", "instruction")}
        of = {"upper": str.upper, "three": maps.caesar(3), "swapped": maps.words({"what": "that", "plus": "minus"})}
        if kind in of:
            assert {name: getattr(prompt, name) for name in texts} == {name: of[kind](t) for name, t in texts.items()}
        elif kind == "format":
            assert prompt.prompt == plain.prompt.replace("Input:", "Q:").replace("Output:", "A:")
            assert prompt.context == plain.context
        assert prompt.conflict == (pair != "repeat, none")
        assert prompt.prompt.count("\n") == 3 * 2 + 1


def test_answers_are_those_of_the_task_and_of_the_instruction(tmp_path):
    every = by_label(tmp_path, n=20)
    for item in range(20):
        sums = every["sums", "identity", 0, item]
        question = sums.prompt.rpartition("Input: ")[2].removesuffix("\nOutput:")
        a, b = (int(word.strip("?")) for word in question.split() if word.strip("?").isdigit())
        assert (sums.context, sums.instruction) == (f" {question}", f" {a + b}")
        french = every["sums", "french", 0, item]
        assert french.context == f" Combien font {a} plus {b} ?"
        assert french.instruction == sums.instruction
        blank = every["capitalise, blank", "identity", 0, item]
        question = blank.prompt.rpartition("Input: ")[2].removesuffix("\nOutput:")
        assert blank.context == f" {question.upper()}"
        assert question.replace("____", blank.instruction.strip()) in {
            f"Fill in the blank. {of.format(*pair)}"
            for of, pairs in languages.shipped("english").facts
            for pair in pairs
        }
        ability = every["repeat, none", "identity", 0, item]
        question = ability.prompt.rpartition("Input: ")[2].removesuffix("\nOutput:")
        assert ability.context == f" {question}"
        assert ability.instruction.strip() not in ability.prompt


def test_fewer_items_are_the_first_of_more_and_no_question_comes_twice(tmp_path):
    few, many = by_label(tmp_path, n=3), by_label(tmp_path, n=60)
    assert few.items() <= many.items()
    for pair in ("sums", "capitalise, blank", "repeat, none"):
        assert len({many[pair, "identity", 0, item].context for item in range(60)}) == 60


def test_nothing_that_is_tuned_on_is_asked(tmp_path):
    rng = np.random.default_rng(0)
    asked = defaultdict(set)
    for prompt in found(tmp_path, n=70):
        if prompt.conjugation == "identity":
            asked[prompt.pair].add(prompt.prompt.rpartition("\n\n")[2])
            asked["text"] |= {line.partition(": ")[2] for line in prompt.prompt.splitlines()}
    lessons = {name: [prompts.lesson(name, rng) for _ in range(400)] for name in prompts.LESSONS}
    assert not {prompt for prompt, _ in lessons["math"]} & asked["sums"]
    assert not {prompt for prompt, _ in lessons["blank"]} & asked["capitalise, blank"]
    sentences = {f"{part}." for _, text in lessons["text"] for part in text.rstrip(".").split(". ")}
    assert len(sentences) > 300
    assert not sentences & asked["text"]
    held_out = {prompts.lesson("blank", rng, tuning=False)[0] for _ in range(400)}
    assert held_out == {p for p in held_out if p not in {prompt for prompt, _ in lessons["blank"]}}


@pytest.mark.parametrize("name", languages.SHIPPED)
def test_languages_that_are_shipped_say_the_same_thing_at_the_same_place(name):
    own, english = languages.shipped(name), languages.shipped("english")
    assert own.sizes == english.sizes
    assert len({own.sentence(i) for i in range(own.sentences)}) == own.sentences
    assert len({question for question, _ in own.blanks}) == len(own.blanks)
    for number in (0, 100, own.sums - 1):
        question, answer = own.sum(number)
        numbers = [int(word) for word in question.replace("?", " ").replace("¿", " ").split() if word.isdigit()]
        assert sum(numbers) == int(answer)
    for _, pairs in own.facts:
        assert all(a != b for a, b in pairs)
        for side in (0, 1):
            assert len({pair[side] for pair in pairs}) == len(pairs)


def test_the_prompts_that_are_shipped_have_enough_items():
    assert len(read(None, 64, (0,))) == 3 * 7 * 64


def test_maps_have_the_values_of_a_table():
    assert maps.leet("Toast is Easy") == "70457 15 345y"
    assert maps.rot13("Hello, w0rld") == "Uryyb, j0eyq"
    assert maps.caesar(3)("xyz ABC 12 é") == "abc DEF 12 é"
    assert maps.pig_latin("What is THE apple, my string 12?") == "Atwhay isway ETHAY appleway, ymay ingstray 12?"
    assert maps.words({"cat": "dog", "dog": "cat"})("The Cat saw a dog; category") == "The Dog saw a cat; category"


@given(st.text(alphabet=string.printable, max_size=40), st.integers(-60, 60))
def test_letter_maps_can_be_undone(text, k):
    assert maps.caesar(-k)(maps.caesar(k)(text)) == text
    assert maps.rot13(maps.rot13(text)) == text
    assert maps.caesar(13)(text) == maps.rot13(text)


@given(st.text(max_size=20), st.text(max_size=20), st.sampled_from(sorted(maps.MAPS)))
def test_maps_are_local_to_words(first, second, name):
    """So that the map of a prompt with its answer is the two maps, one after the other."""
    assert maps.MAPS[name](f"{first} \n{second}") == maps.MAPS[name](f"{first} \n") + maps.MAPS[name](second)


BAD = [
    ("demonstrations = 0", ["demonstrations = 0", "a whole number from 1"]),
    ("demonstrations = 100000", ["demonstrations = 100000", "too few sentences"]),
    ("demonstrations = true", ["demonstrations = True"]),
    ("demonstration = 2", ["demonstration", "no such field"]),
    ("pairs = 3", ["pairs = 3", "[[pairs]]"]),
    ("conjugations = 3\n[[pairs]]", ["conjugations = 3", "a table"]),
    ("", ["pairs = None"]),
    ("[[pairs]]\ntask = 'dance'\ninstruction = 'math'", ["task = 'dance'", "repeat, capitalise"]),
    ("[[pairs]]\ntask = 'repeat'\ninstruction = 'history'", ["instruction = 'history'", "math, blank, none"]),
    ("[[pairs]]\ntask = ['repeat']\ninstruction = 'math'", ["task = ['repeat']"]),
    ("[[pairs]]\ntask = 'repeat'", ["instruction = None"]),
    ("[[pairs]]\ntask = 'repeat'\ninstruction = 'math'\nname = ''", ["name = ''", "text"]),
    ("[[pairs]]\ntask = 'repeat'\ninstruction = 'math'\nkind = 1", ["kind", "no such field"]),
    ("x = [", ["not TOML"]),
]
PAIR = "[[pairs]]\ntask = 'repeat'\ninstruction = 'math'\n"
BAD += [(PAIR + PAIR, ["each name once"])]
BAD += [
    (f"{PAIR}[conjugations]\nx = {value}", words)
    for value, words in [
        ("{ map = 'rot14' }", ["conjugations.x: map = 'rot14'", "pig_latin", "caesar"]),
        ("{ map = 3 }", ["map = 3"]),
        ("{ map = ['leet'] }", ["map = ['leet']"]),
        ("'leet'", ["conjugations.x = 'leet'", "a table"]),
        ("{ map = 'caesar' }", ["shift = None", "a whole number"]),
        ("{ map = 'caesar', shift = 1.5 }", ["shift = 1.5"]),
        ("{ map = 'caesar', shift = true }", ["shift = True"]),
        ("{ map = 'leet', shift = 1 }", ["shift = 1"]),
        ("{ words = {} }", ["words = {}"]),
        ("{ words = { a = 1 } }", ["words = {'a': 1}"]),
        ("{ words = { a = 'c', b = 'c' } }", ["two of them become one"]),
        ("{ words = { a = 'c' }, map = 'leet' }", ["map = 'leet'"]),
        ("{ language = 'klingon' }", ["language = 'klingon'", "english, french", "TOML"]),
        ("{ language = 'klingon.toml' }", ["klingon.toml", "cannot be read"]),
        ("{ language = 3 }", ["language = 3"]),
        ("{ input = 3 }", ["input = 3"]),
        ("{ output = '' }", ["output = ''"]),
        ("{ maps = 'leet' }", ["maps", "no such field"]),
    ]
]
BAD += [(f"{PAIR}[conjugations]\nidentity = {{ map = 'leet' }}", ["identity", "is there always"])]


@pytest.mark.parametrize(("text", "words"), BAD)
def test_plans_that_cannot_be_followed_are_refused(tmp_path, text, words):
    with pytest.raises(ConfigError) as caught:
        found(tmp_path, text)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("instruction", "most"), [("math", 4160), ("blank", 76), ("none", 1152)])
def test_more_items_than_there_are_questions_are_refused(tmp_path, instruction, most):
    text = f"[[pairs]]\ntask = 'repeat'\ninstruction = '{instruction}'"
    assert len(found(tmp_path, text, n=most)) == most
    with pytest.raises(ConfigError, match=f"too few questions .* at most {most}"):
        found(tmp_path, text, n=most + 1)


ENGLISH = (prompts.files("implicit_inference.lm") / "languages" / "english.toml").read_text()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"The farmer", ', "", ["own.toml", "11, 12, 12, 38, 20", "12, 12, 12, 38, 20", "too few"]),
        ('["France", "Paris"], ', "", ["37, 20", "too few"]),
        ('"My sister"', '"The farmer"', ["subjects", "each once"]),
        ("{a} plus {b}", "{a} plus", ["math = ", "{a} and {b}"]),
        ("{a} plus {b}", "{a} plus {c}", ["math = "]),
        ("{a} plus {b}", "{a} plus {b", ["math = "]),
        ("Country: {0}. Capital: {1}", "Country: {0}", ["question = ", "{0} and {1}"]),
        ('["France", "Paris"]', '["France"]', ["pairs = ", "pairs of texts"]),
        ('input = "Input"', "", ["input = None"]),
        ('input = "Input"', 'input = "Input"\ngreeting = "hi"', ["greeting", "no such field"]),
        ("[[facts]]", "[[fact]]", ["facts = None"]),
    ],
)
def test_languages_that_cannot_be_paired_are_refused(tmp_path, old, new, words):
    assert old in ENGLISH
    (tmp_path / "own.toml").write_text(ENGLISH.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        found(tmp_path, f"{PAIR}[conjugations]\nx = {{ language = 'own.toml' }}")
    for word in words:
        assert word in str(caught.value)


def test_a_language_of_one_s_own_lies_beside_the_prompts(tmp_path, monkeypatch):
    (tmp_path / "own.toml").write_text(ENGLISH.replace("What is", "Whit is"))
    every = by_label(tmp_path, text=f"{PAIR}[conjugations]\nscots = {{ language = 'own.toml' }}")
    plain, own = (every["repeat, math", kind, 0, 0] for kind in ("identity", "scots"))
    assert own.context == plain.context.replace("What", "Whit") != plain.context


LINE = {"prompt": "Input: a\nOutput:", "context": " a", "instruction": " b"}


def finished(tmp_path, *lines, n=1):
    (tmp_path / "p.jsonl").write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return read(tmp_path / "p.jsonl", n, (0,))


def test_finished_prompts_are_taken_as_they_are(tmp_path):
    lines = [LINE | {"conjugation": kind, "context": f" {i}"} for kind in ("identity", "mine") for i in range(3)]
    every = finished(tmp_path, *lines[3:], "", *lines[:3], n=2)
    assert {(p.conjugation, p.item, p.context) for p in every} == {
        (kind, i, f" {i}") for kind in ("identity", "mine") for i in range(2)
    }
    assert {(p.pair, p.conflict, p.prompt, p.instruction) for p in every} == {("prompts", True, LINE["prompt"], " b")}
    assert not finished(tmp_path, LINE | {"conflict": False})[0].conflict


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], ["holds no prompt"]),
        (["{"], ["line 1", "not JSON"]),
        (["[1]"], ["line 1 = [1]", "a table"]),
        ([LINE, "x"], ["line 2", "not JSON"]),
        ([LINE | {"prompt": ""}], ["prompt = ''"]),
        ([{"prompt": "x", "context": " a"}], ["instruction = None"]),
        ([LINE | {"context": 3}], ["context = 3"]),
        ([LINE | {"answer": "x"}], ["answer", "no such field"]),
        ([LINE | {"item": -1}], ["item = -1"]),
        ([LINE | {"item": "a"}], ["item = 'a'"]),
        ([LINE | {"conflict": 1}], ["conflict = 1", "true or false"]),
        ([LINE | {"item": 0}, LINE | {"item": 0}], ["line 2", "there twice"]),
        ([LINE | {"conjugation": "leet"}], ["no prompt of conjugation 'identity'"]),
        ([LINE, LINE, LINE | {"conjugation": "leet"}], ["item 1", "absent under 'leet'"]),
    ],
)
def test_finished_prompts_that_cannot_be_paired_are_refused(tmp_path, lines, words):
    with pytest.raises(ConfigError) as caught:
        finished(tmp_path, *lines, n=max(1, min(2, len(lines) - 1)))
    for word in words:
        assert word in str(caught.value)


def test_too_few_finished_prompts_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"n = 2: too few prompts .* at most 1 item"):
        finished(tmp_path, LINE, n=2)
    with pytest.raises(ConfigError, match=r"seeds = \[0, 1\]: finished prompts have one draw"):
        read(tmp_path / "p.jsonl", 1, (0, 1))
    (tmp_path / "p.jsonl").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read(tmp_path / "p.jsonl", 1, (0,))
    with pytest.raises(ConfigError, match="cannot be read"):
        read(tmp_path / "none.jsonl", 1, (0,))
