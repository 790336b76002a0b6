"""vila2-counting: counts the things of a kind in an image."""

from vila2.plugin import MergePolicy, Specialist, hookimpl

# Heavy parts are named, not imported: listing plugins stays fast.
SPECIALIST = Specialist(
    name="counting",
    summary="counts the things of a kind in an image.",
    builder="vila2_counting.builder:Builder",
    config="vila2_counting.builder:Config",
    recipe="vila2_counting/recipe.yaml",
    prompts=("Count the objects in the image, kind by kind.", "How many of each kind of object are there?"),
    questions=("How many objects of each kind does the image show?",),
    parser="vila2_counting.answers:parse",
    metrics="vila2_counting.answers:score",
    verifier="vila2_counting.answers:verify",
    merge=MergePolicy(priority=1, exchanges=1),
)


@hookimpl
def vila2_specialists() -> list[Specialist]:
    return [SPECIALIST]
