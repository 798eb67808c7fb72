"""Bad inputs of every kind: what is no mistake of hpsearch's is refused in one line, or works."""

from tests.attacks.calls import attack_calls
from tests.attacks.options import attack_options
from tests.attacks.outputs import attack_outputs
from tests.attacks.places import attack_places
from tests.attacks.tables import attack_tables

ATTACKS = {
    "calls": attack_calls,
    "options": attack_options,
    "outputs": attack_outputs,
    "places": attack_places,
    "tables": attack_tables,
}
