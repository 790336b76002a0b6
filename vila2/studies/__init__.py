"""The studies of the VILA paper (arXiv 2312.07533) and the tables of VILA² (2407.17453) in miniature, each a value."""

from vila2.studies.corpora import CORPORA_STUDIES
from vila2.studies.language import LANGUAGE_STUDIES
from vila2.studies.study import Arm, Cell, Expectation, Study
from vila2.studies.vila2_evidence import EVIDENCE, SMOKE
from vila2.studies.vila2_tables import TABLES
from vila2.studies.vision import VISION_STUDIES

__all__ = ["GROUPS", "STUDIES", "Arm", "Cell", "Expectation", "Study"]

_VILA = (*LANGUAGE_STUDIES, *CORPORA_STUDIES, *VISION_STUDIES)
#: By name: VILA²'s tables and the evidence beside them, then VILA's studies in the order of the paper's sections.
STUDIES: dict[str, Study] = {study.name: study for study in (SMOKE, *TABLES, *EVIDENCE, *_VILA)}
#: Names of several studies at once.
GROUPS: dict[str, tuple[str, ...]] = {
    "vila2": tuple(study.name for study in (*TABLES, *EVIDENCE)),
    "vila": tuple(study.name for study in _VILA),
}
