"""The studies of the VILA paper (arXiv 2312.07533) on the miniature world, each a value."""

from vila2.cycle.studies.corpora import CORPORA_STUDIES
from vila2.cycle.studies.language import LANGUAGE_STUDIES
from vila2.cycle.studies.study import Arm, Cell, Expectation, Study
from vila2.cycle.studies.vision import VISION_STUDIES

__all__ = ["STUDIES", "Arm", "Cell", "Expectation", "Study"]

#: By name, in the order of the paper's sections.
STUDIES: dict[str, Study] = {
    study.name: study for study in (*LANGUAGE_STUDIES, *CORPORA_STUDIES, *VISION_STUDIES)
}
