"""Words for the things that detectors know: the labels of COCO and Pascal VOC with their synonyms.

As in CHAIR (arXiv 1809.02156), a caption's "girl" is a detector's "person". The lists hold only words that
hardly ever mean anything else. A label that is not listed has no synonyms.
"""

from __future__ import annotations

from collections.abc import Mapping

WORDS: Mapping[str, tuple[str, ...]] = {
    "person": (
        "persons", "man", "woman", "boy", "girl", "child", "kid", "baby", "toddler", "infant", "lady", "guy",
        "gentleman", "adult", "teenager", "player", "skier", "snowboarder", "surfer", "skateboarder", "rider",
        "cyclist", "biker", "runner", "hiker", "climber", "swimmer", "dancer", "worker", "pedestrian",
        "crowd", "bride", "groom", "student", "policeman", "fireman", "soldier", "athlete", "batter",
        "pitcher", "catcher", "umpire", "goalie", "couple",
    ),
    "bicycle": ("bike", "tricycle"),
    "motorcycle": ("motorbike", "moped", "scooter"),
    "car": ("automobile", "sedan", "taxi", "cab", "suv", "minivan"),
    "airplane": ("aeroplane", "plane", "aircraft", "jet", "airliner"),
    "bus": ("minibus", "coach"),
    "train": ("locomotive", "tram"),
    "truck": ("lorry", "pickup", "firetruck"),
    "boat": ("ship", "canoe", "kayak", "sailboat", "ferry", "raft", "rowboat", "yacht"),
    "traffic light": ("stoplight", "traffic signal", "stop light"),
    "fire hydrant": ("hydrant",),
    "bird": (
        "pigeon", "seagull", "duck", "goose", "parrot", "eagle", "owl", "chicken", "rooster", "swan", "gull",
    ),
    "cat": ("kitten", "kitty"),
    "dog": ("puppy", "poodle", "terrier", "retriever", "greyhound", "dalmatian", "collie", "bulldog"),
    "horse": ("pony", "foal"),
    "sheep": ("lamb", "ewe"),
    "cow": ("cattle", "bull", "calf", "ox"),
    "backpack": ("rucksack", "knapsack"),
    "handbag": ("purse",),
    "suitcase": ("luggage",),
    "frisbee": ("disc",),
    "skis": ("ski",),
    "sports ball": ("ball", "football", "soccer ball", "basketball", "baseball", "tennis ball", "volleyball"),
    "wine glass": ("goblet",),
    "cup": ("mug",),
    "hot dog": ("hotdog",),
    "donut": ("doughnut",),
    "couch": ("sofa",),
    "sofa": ("couch",),
    "potted plant": ("houseplant",),
    "pottedplant": ("potted plant", "houseplant"),
    "dining table": ("table",),
    "diningtable": ("dining table", "table"),
    "tv": ("television", "tv monitor"),
    "tvmonitor": ("television", "tv", "monitor"),
    "laptop": ("notebook computer",),
    "cell phone": ("cellphone", "mobile phone", "smartphone"),
    "refrigerator": ("fridge",),
    "teddy bear": ("stuffed bear", "teddy"),
    "hair drier": ("hair dryer", "hairdryer"),
    "aeroplane": ("airplane", "plane", "aircraft", "jet", "airliner"),
    "motorbike": ("motorcycle", "moped", "scooter"),
}  # fmt: skip

#: Irregular plurals.
PLURALS: Mapping[str, str] = {
    "person": "people", "man": "men", "woman": "women", "child": "children", "policeman": "policemen",
    "fireman": "firemen", "knife": "knives", "mouse": "mice", "goose": "geese", "calf": "calves",
    "sheep": "sheep", "cattle": "cattle", "ox": "oxen", "skis": "skis", "scissors": "scissors",
    "gentleman": "gentlemen",
}  # fmt: skip

#: Phrases in which a label's word does not mean the thing.
NOT_THINGS: tuple[str, ...] = (
    "hot dog", "teddy bear", "train track", "train tracks", "train station", "bus stop", "bus station",
    "car park", "dog house", "bird house", "boat house", "phone booth", "bow tie", "toilet paper",
    "toilet seat", "cat litter", "table tennis", "keyboard player", "bird bath", "cow boy", "horse shoe",
    "chair lift", "dog leash", "cup cake",
)  # fmt: skip


def words_for(label: str) -> tuple[str, ...]:
    """Lists a label and its synonyms, each in singular and plural."""
    words = (label, *WORDS.get(label, ()))
    return tuple(dict.fromkeys(form for word in words for form in (word, plural_of(word))))


def plural_of(word: str) -> str:
    """Makes the plural of an English noun."""
    if word in PLURALS:
        return PLURALS[word]
    head, space, last = word.rpartition(" ")
    if last in PLURALS:
        return head + space + PLURALS[last]
    if word.endswith(("s", "x", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        return word[:-1] + "ies"
    return word + "s"
