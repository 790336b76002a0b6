"""The words that the rules of :mod:`vila2_grounding.phrases` know."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ARTICLES = _words("a an the")
DETERMINERS = ARTICLES | _words(
    "this that these those some any each every another both all several many few no my your his her its "
    "our their one two three four five six seven eight nine ten"
)
#: Whose a thing is says nothing in a question or an answer by itself.
POSSESSIVES = _words("my your his her its our their")
#: Common nouns that are written like names.
CAPITALIZED = _words("frisbee jeep tv bmx")
#: Nouns that only tell a quantity of what follows their "of".
QUANTITIES = _words(
    "group pair bunch couple lot number piece set row pile stack crowd bit slice herd flock team variety "
    "collection kind type sort"
)
#: Words that end the head of a noun phrase: prepositions, relatives, conjunctions, frequent participles.
ENDS = _words(
    "of in on at by with without from to into onto over under above below behind beside between near "
    "against through across around along off for as during inside outside toward towards up down "
    "that which who whom whose where while and or but "
    "wearing holding standing sitting walking running riding playing looking lying jumping carrying "
    "covered filled made dressed seen"
)
#: Common verbs of captions. A phrase begins after them.
VERBS = _words(
    "is are was were be been being has have had does do can shows show see sees sit sits stand stands hold "
    "holds wear wears look looks run runs walk walks ride rides jump jumps play plays lie lies appear "
    "appears contain contains help helps join joins there here"
)
#: Singular of each plural that no rule covers.
IRREGULAR = dict(
    pair.split("=")
    for pair in _words(
        "men=man women=woman children=child people=person feet=foot teeth=tooth mice=mouse geese=goose "
        "oxen=ox firemen=fireman policemen=policeman policewomen=policewoman fishermen=fisherman "
        "snowmen=snowman gentlemen=gentleman grandchildren=grandchild knives=knife wives=wife lives=life "
        "leaves=leaf loaves=loaf wolves=wolf shelves=shelf calves=calf halves=half scarves=scarf "
        "thieves=thief hooves=hoof potatoes=potato tomatoes=tomato heroes=hero buses=bus gases=gas "
        "lenses=lens axes=axe shoes=shoe movies=movie cookies=cookie brownies=brownie hoodies=hoodie "
        "ties=tie pies=pie"
    )
)
#: Nouns with one form for both numbers, and singular nouns that end in s.
INVARIANT = _words(
    "sheep deer fish aircraft series species moose bison salmon trout shrimp glasses sunglasses scissors "
    "pants trousers jeans shorts binoculars headphones goggles tongs tights pajamas clothes stairs "
    "gymnastics news tennis lens gas canvas atlas chess"
)
#: Determiners that leave open which thing, or how many things, are meant.
VAGUE = _words("some any each every another other both all several many few no")
#: Nouns for several things in one: a phrase with such a head has no box of its own.
COLLECTIVE = _words("pair couple group crowd team family band herd flock bunch lot set")
#: Frequent nouns without a plural: no article stands before them.
MASS = _words(
    "water grass snow sand ice dirt mud rain fire smoke food hair wood fruit luggage furniture equipment "
    "clothing jewelry graffiti traffic sky ground air light sunlight shade surf foam foliage money music "
    "bread rice cheese meat coffee tea beer wine milk juice paper plastic metal glass grassland concrete"
)
NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten"}
#: Labels of datasets that write two words as one, in words.
COMPOUNDS = {
    "diningtable": "dining table",
    "pottedplant": "potted plant",
    "tvmonitor": "TV monitor",
    "aeroplane": "airplane",
}
