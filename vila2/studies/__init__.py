"""Studies in miniature: the findings of VILA (arXiv 2312.07533) and the tables of VILA² (2407.17453)."""

from vila2.studies.corpora import CORPORA_STUDIES
from vila2.studies.decoders import DECODERS
from vila2.studies.equal_compute_study import EQUAL_COMPUTE
from vila2.studies.language import LANGUAGE_STUDIES
from vila2.studies.preference_study import LENGTHS, PREFERENCES
from vila2.studies.study import Arm, Cell, Expectation, Study
from vila2.studies.vila2_evidence import EVIDENCE, SMOKE
from vila2.studies.vila2_tables import TABLES
from vila2.studies.vision import VISION_STUDIES

__all__ = ["GROUPS", "STUDIES", "Arm", "Cell", "Expectation", "Study"]

_VILA = (*LANGUAGE_STUDIES, *CORPORA_STUDIES, *VISION_STUDIES)
#: Studies by name: first the tables of VILA² and the evidence beside them, then VILA's studies in the paper's
#: order.
STUDIES: dict[str, Study] = {
    study.name: study
    for study in (SMOKE, *TABLES, *EVIDENCE, EQUAL_COMPUTE, DECODERS, PREFERENCES, LENGTHS, *_VILA)
}
#: Groups of studies by name.
GROUPS: dict[str, tuple[str, ...]] = {
    "vila2": tuple(study.name for study in (*TABLES, *EVIDENCE, DECODERS)),
    "vila": tuple(study.name for study in _VILA),
}
