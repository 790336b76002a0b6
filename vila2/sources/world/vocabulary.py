"""The words of the miniature world: shapes, colors, sizes, numbers and the words printed on signs."""

import hashlib

SHAPES: tuple[str, ...] = ("cube", "ball", "cylinder", "cone", "diamond")

#: Surface colors as roughly linear RGB, 0 to 1, far enough apart to survive shading and noise.
COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.86, 0.12, 0.12),
    "orange": (0.98, 0.52, 0.08),
    "yellow": (0.97, 0.87, 0.14),
    "green": (0.13, 0.62, 0.22),
    "blue": (0.13, 0.30, 0.86),
    "purple": (0.55, 0.18, 0.68),
    "white": (0.97, 0.97, 0.97),
    "black": (0.11, 0.11, 0.13),
}

#: Edge length in meters, before a jitter of a few percent.
SIZES: dict[str, float] = {"small": 0.58, "large": 0.95}

NUMBERS: tuple[str, ...] = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight")

_WORDS = """
acid aged arch army aunt axis baby bake bald bark barn bath bead bean bear beef bell belt bent bike bird bite
boat body bold bolt bone book boot boss bowl brad bulb bull bump busy cake calf calm camp cape card cash cave
chef chip city clap claw clay club coal coat code coin cold cook cool copy cord cork corn crab crew crow cube
dark dart dawn deal debt deck deep deer desk dial dice dirt dish dive dock doll door dose drum duck dust duty
early earth ease east easy edge envy epic exit face fact fade fair farm fast fear fern film firm fish fist
flag flat flea flex flip flow foam fold folk fork fort fowl frog fuel full fund fuse gain game gate gear gift
girl glad glow glue goat gold golf grab gray grid grip gulf gust hair half hall hand harp hawk heat help herb
hero hill hint hive hold hole home hood hook hope horn host hour huge hunt idea idle jade jail jazz jeep join
joke jump jury keen keep kick kind king kite kiwi knee knot lace lake lamb lamp land lark lawn lazy leaf lens
lime lion load lock logo lost loud love luck lump lung maid mail malt mango maple mask mate maze meal meat
melt menu mild milk mill mind mint moon moth mule myth nail name navy neck nest news nine numb oak oven owl
pace pack page palm park path peak pear pick pile pine pink pipe plan plug plum poem pole pond pony pool pump
quiz quay race rack rain rake ramp rank rare raft rice rich ride ring risk road rock roof rope rose ruby rude
ruin rush sack safe sail sake salt sand save seal seed ship shoe shop silk skin slow snow soap sofa soil song
soup star step stew surf swan taco tail tale tank tape taxi team tent tiger tile time tiny tray tree tube tuna
ugly unit urge user vase vast veal vein verb vest vine visa vote wave wax wool yard yarn yoga yolk zebra zero
zone zoom zinc fox hen jam jet jug key kid lid log mud mug nut pan paw pea pen pet pig pod pub rug sky sub sum
sun tax tea tub van vet wig yak zip apple bacon berry crown daisy eagle fairy ghost honey igloo juice koala
lemon money night ocean piano queen river sugar table uncle video wheat
""".split()  # noqa: SIM905 - a block of words reads better than a list of quoted ones


def _is_test_word(word: str) -> bool:
    return hashlib.sha256(word.encode()).digest()[0] % 5 == 0


#: Words that signs do not have: those that resemble the world's own vocabulary, and those that begin with a
#: word
#: of the shipped tokenizer ("do", "for", "my", "new", "see"), which it would not spell letter by letter.
_FORBIDDEN = {"cube", "gray", "zero", "nine", "pink", "gold", "tiny", "huge",
              "dock", "doll", "door", "dose", "farm", "fork", "fort", "myth", "news", "seed"}  # fmt: skip
SIGN_WORDS: tuple[str, ...] = tuple(sorted(set(_WORDS) - _FORBIDDEN))
#: Words that only test scenes show, so that a model has to read them letter by letter.
TEST_SIGN_WORDS: tuple[str, ...] = tuple(word for word in SIGN_WORDS if _is_test_word(word))
#: Words that the shipped parts were taught with.
TRAIN_SIGN_WORDS: tuple[str, ...] = tuple(word for word in SIGN_WORDS if not _is_test_word(word))
#: Words on the signs of all scenes that a generalist or a specialist learns from; half of the test's signs
#: show them, too. So few that some thousands of signs teach to read them.
KNOWN_SIGN_WORDS: tuple[str, ...] = tuple(
    sorted(sorted(TRAIN_SIGN_WORDS, key=lambda word: hashlib.sha256(word.encode()).digest()[1:])[:48])
)
