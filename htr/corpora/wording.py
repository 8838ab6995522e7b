"""English-like sentences made up from word lists and templates, all written for this project.

The lines read like pieces of running text: they begin and end where a line of a letter would, in the middle of a
sentence more often than not. `CHARACTERS` names every character that turns up.
"""

from __future__ import annotations

import random
import re
import string

CHARACTERS = " " + string.ascii_letters + string.digits + "!\"#&'()*+,-./:;?"
"""The characters that the made-up lines are written with."""

SHORTEST, LONGEST = 20, 60
"""Bounds on the length of a line, in characters."""

_WORDS = {
    "first_name": """Agnes Albert Alice Arthur Beatrice Bernard Charles Clara Daniel David Dora Edith Edward Eleanor
        Emma Felix Florence Frank George Grace Harold Helen Henry Hugo Ida Irene Isaac James Jane Joseph Julia Kate
        Kenneth Laura Leo Louis Lucy Margaret Martin Mary Nancy Ned Nora Oliver Olive Oscar Pamela Paul Peter Quentin
        Queenie Ralph Robert Rose Ruth Samuel Simon Susan Thomas Tilda Ursula Uriah Vera Victor Violet Walter William
        Xavier Xenia Yvonne Yorick Zachary Zoe""",
    "surname": """Abbott Archer Barlow Bennett Carver Clarke Dalton Dyer Ellis Everett Fletcher Foster Gibson Goodwin
        Harper Hobbs Ingram Irving Jarvis Jennings Kemp Knight Lambert Lowe Marsh Mercer Nash Norton O'Brien O'Hara
        Osborne Palmer Pryor Quinn Quigley Reeves Rowley Sadler Stubbs Thorpe Tucker Underwood Upton Vaughan Vickers
        Walsh Wheeler Yates Young Zimmer""",
    "place": """Aldbury Ashford Bexley Birchwood Carrow Coldwater Dunmore Eastleigh Eversham Fenwick Foxhill Glenmoor
        Greyport Hexham Holloway Ivybridge Jarrow Kingsmere Langley Lynton Marlow Milford Newhaven Northgate Oakham
        Oxley Penrith Quarley Ravenham Redcliff Saltby Stowe Thornbury Uppingham Vernham Westerby Winchcombe Yarrow
        Zealand""",
    "month": "January February March April May June July August September October November December",
    "month_short": "Jan. Feb. Mar. Apr. Aug. Sept. Oct. Nov. Dec.",
    "weekday": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "title": "Mr. Mrs. Dr. Miss Sir Lady Capt. Prof. Rev.",
    "person_noun": """farmer teacher doctor baker sailor painter clerk widow soldier gardener captain nurse judge
        neighbour stranger cousin uncle aunt brother sister daughter son child visitor waiter driver porter miller
        tailor printer butcher student lawyer mayor musician guest landlord shepherd carpenter priest editor""",
    "thing": """letter book garden house window door table chair lamp bridge river road village market church school
        kitchen basket bottle box boat train ship carriage wheel engine clock watch mirror picture piano violin song
        story newspaper ticket key coat hat shirt glove shoe blanket candle fire kettle cup plate knife spoon loaf
        cheese apple orange potato cabbage field fence gate barn horse dog cat cow sheep goose bird tree branch leaf
        flower stone hill valley forest island harbour tower station office shop factory machine hammer ladder rope
        map chart photograph question answer journey quarrel promise secret dream plan meeting speech bill cheque
        contract parcel jacket kiosk axle quilt quarry jewel yacht zinc maze prize pond""",
    "stuff": """water milk bread butter sugar salt tea coffee wine coal timber iron silver wool cotton paper ink money
        music weather wind rain snow fog sunshine silence work trade news trouble patience courage luck time hay
        barley wax soap glass leather""",
    "adjective": """old new small large young little great good bad early late long short high low dark bright quiet
        loud heavy light warm cold clean dirty empty full narrow wide deep strange famous simple difficult gentle
        bitter sweet sharp broken wooden iron golden grey black white green red blue brown yellow curious honest lazy
        busy sudden careful cheerful familiar foreign excellent exact quick queer lucky noisy modern ancient""",
    "hyphenated": """well-known old-fashioned half-open good-natured short-lived far-off hard-working left-handed
        second-hand three-legged ill-fitting so-called home-made out-of-date sea-green kind-hearted""",
    "adverb": """slowly quickly quietly suddenly carefully gladly rarely often always never seldom nearly hardly simply
        certainly perhaps almost again already still soon at_once by_chance in_time of_course without_delay""",
    "verb_past": """opened closed found lost carried brought sold bought kept left saw heard noticed watched followed
        remembered forgot described painted cleaned mended broke dropped lifted moved pushed pulled filled emptied
        praised admired wanted needed received returned borrowed examined discovered measured fixed judged adjusted
        recognised acquired explained""",
    "verb_plain": """open close find lose carry bring sell buy keep leave see hear notice watch follow remember forget
        describe paint clean mend break drop lift move fill admire want need receive return borrow examine measure fix
        judge explain""",
    "went": """walked travelled drove sailed ran hurried wandered marched rode came went climbed drifted stayed waited
        worked slept laughed talked sang""",
    "said": "said asked answered whispered cried replied shouted thought repeated wrote",
    "preposition": "near behind under above beside beyond before across from inside outside round towards by past",
    "conjunction": "and but while because although until so when since before after as",
    "number_word": "two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty fifty",
    "plural": """letters books houses windows chairs bridges roads villages boats trains horses dogs sheep birds trees
        flowers stones hills ships shops machines maps questions answers tickets keys hats shoes candles cups plates
        spoons apples potatoes fields miles yards inches pounds weeks months years minutes people women men children
        boxes axes quarts zebras jars""",
    "capital": " ".join(string.ascii_uppercase),
    "letter": "a b c d e f g h j k",
    "digit": "0 1 2 3 4 5 6 7 8 9",
    "leading": "1 2 3 4 5 6 7 8 9",
    "hour": "1 2 3 4 5 6 7 8 9 10 11 12",
    "minute": "05 10 15 20 25 30 35 40 45 50 55",
    "exclamation": "Oh Well Ah Now Come Yes No Look Indeed Goodness Hush Quick",
}

_TEMPLATES = {
    "name": """{first_name} | {first_name} {surname} | {title} {surname} | {capital}. {surname}
        | {capital}. {capital}. {surname}""",
    "year": "1{digit}{digit}{digit} | 18{digit}{digit} | 19{digit}{digit} | 20{digit}{digit} | '{digit}{digit}",
    "number": """{leading} | {leading}{digit} | {leading}{digit}{digit} | {leading},{digit}{digit}{digit}
        | {leading}{digit},{digit}{digit}{digit} | {leading}.{digit} | {leading} 1/2 | {leading}/{leading}""",
    "date": """{leading} {month} {year} | {weekday}, {month} 1{digit} | 2{digit} {month_short} {year}
        | {leading}/{leading}/{digit}{digit} | the {number_word} days before {month} | {month} 2{digit}, {year}""",
    "time": """{hour}.{minute} p.m. | {hour} o'clock | {hour}:{minute} | half past {number_word} | {hour}.{minute} a.m.
        | a quarter to {number_word}""",
    "money": """{number} pounds | {leading}s. {leading}d. | {number} dollars | {leading}/{leading}
        | {number} shillings | {number} per cent | {leading}{digit}.{digit}{digit} francs""",
    "reference": """(see p. {number}) | (No. # {leading}{digit}) | (cf. {number}) | (about {money}) | ({year}) | (q.v.)
        | ({name}, {year}) | (i.e. {some_thing}) | (e.g. {stuff}) | ({number} * {leading})""",
    "acronym": """{capital}.{capital}. | {capital}.{capital}.{capital}. | {capital}{capital}{capital}""",
    "firm": """{surname} & Co. | {surname} & {surname} | {surname} and Sons | Messrs. {surname} & {surname}
        | the {acronym} | the {place} Society | "{place} & {place}" """,
    "some_thing": """the {thing} | the {thing} | a {thing} | the {adjective} {thing} | a {adjective} {thing}
        | his {thing} | her {thing} | my {adjective} {thing} | {number_word} {plural} | {number} {plural}
        | the {hyphenated} {thing} | some {stuff} | no {stuff} | the {adjective} {stuff} | the {person_noun}'s {thing}
        | {stuff} and {stuff} | this {thing} | that {adjective} {thing} | {first_name}'s {thing}""",
    "person": """he | she | they | {name} | {name} | the {person_noun} | the {adjective} {person_noun} | a {person_noun}
        | my {person_noun} | our {hyphenated} {person_noun} | {firm}""",
    "where": """{preposition} the {thing} | {preposition} the {adjective} {thing} | in {place} | to {place}
        | at {leading}{digit} {place} Road | near {place} | from {place}""",
    "when": """at {time} | on {weekday} | in {year} | on {date} | last {month} | {adverb} | every {weekday}
        | for {number_word} {plural}""",
    "clause": """{person} {verb_past} {some_thing} | {person} {adverb} {verb_past} {some_thing} {where}
        | {person} {went} {where} | {person} {went} {where} {when} | {person} {adverb} {verb_past} {some_thing} {when}
        | {some_thing} was {adjective} | there was {some_thing} {where} | {person} could not {verb_plain} {some_thing}
        | it was {adjective} and {adjective} | {person} paid {money} for {some_thing} | it cost {money}
        | I did not {verb_plain} {some_thing} | we {went} {where} | you must {verb_plain} {some_thing}
        | {person} wouldn't {verb_plain} {some_thing} | it's {adjective}, {person_noun}""",
    "question": """Did {person} {verb_plain} {some_thing}? | Where is {some_thing}? | Who {verb_past} {some_thing}?
        | Why should {person} {verb_plain} {some_thing}? | Is it {time}? | How much is {number} + {number}?
        | What did {person} {verb_plain} {when}? | Can't {person} {verb_plain} {some_thing}?""",
    "sentence": """{clause}. | {clause}. | {clause}, {conjunction} {clause}. | {clause} {conjunction} {clause}.
        | {when}, {clause}. | {clause}; {clause}. | {clause}: {some_thing}, {some_thing} and {some_thing}.
        | {question} | "{question}" {said} {person}. | "{clause}," {said} {name}, "{conjunction} {clause}."
        | {exclamation}, {clause}! | "{exclamation}!" {said} {person}. | {person} {said}: "{clause}."
        | {clause} {reference}. | {clause} - {clause}. | {name} ({person_noun}) {went} {where}. | Dear {name}, {clause}.
        | No. {number}: {some_thing}. | {letter}) {some_thing}; | {firm} of {place} {verb_past} {some_thing}.
        | * {some_thing} {reference} | {name} + {name}, {place}, {date}. | {clause} ({clause}). | N.B. {clause}!
        | '{clause},' {person} {said}. | {title} {surname}, {acronym}, {went} {where} {when}. | P.S. {clause}.
        | Chapter {number}: {clause}. | "{place} {thing}," {said} {name}; {clause}. | # {number}, {place} Street.""",
}


def _alternatives() -> dict[str, list[str]]:
    rules = {name: [word.replace("_", " ") for word in words.split()] for name, words in _WORDS.items()}
    for name, templates in _TEMPLATES.items():
        rules[name] = [" ".join(template.split()) for template in templates.split("|")]
    return rules


_RULES = _alternatives()
_SLOT = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeiou])")
_FIRST_LETTER = re.compile(r"[A-Za-z]")


def sentence(rng: random.Random) -> str:
    """One made-up sentence, with its full stop, question mark or exclamation mark."""
    text = _ARTICLE.sub(r"\1n ", _expand("sentence", rng))
    return _FIRST_LETTER.sub(lambda match: match.group().upper(), text, count=1)


def line(rng: random.Random) -> str:
    """One line out of running text: whole words, `SHORTEST` to `LONGEST` characters."""
    words = sentence(rng).split(" ")
    start = rng.randrange(len(words))
    length = rng.randint(SHORTEST, LONGEST)
    text = words[start]
    upcoming = words[start + 1 :]
    while True:
        upcoming = upcoming or sentence(rng).split(" ")
        longer = f"{text} {upcoming.pop(0)}"
        if len(longer) > length and len(text) >= SHORTEST:
            return text
        text = longer


def _expand(name: str, rng: random.Random) -> str:
    return _SLOT.sub(lambda slot: _expand(slot.group(1), rng), rng.choice(_RULES[name]))
