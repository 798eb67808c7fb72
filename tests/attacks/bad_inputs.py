"""Bad inputs of every kind: what is no mistake of hpsearch's is refused in one line, or works."""

from tests.attacks.calls import attack_calls
from tests.attacks.environment import attack_environment
from tests.attacks.estimators import attack_estimators
from tests.attacks.options import attack_options
from tests.attacks.outputs import attack_outputs
from tests.attacks.places import attack_places
from tests.attacks.studies import attack_studies, attack_training
from tests.attacks.tables import attack_tables

ATTACKS = {
    "calls": attack_calls,
    "environment": attack_environment,
    "estimators": attack_estimators,
    "options": attack_options,
    "outputs": attack_outputs,
    "places": attack_places,
    "studies": attack_studies,
    "tables": attack_tables,
    "training": attack_training,
}
