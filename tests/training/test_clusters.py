"""Which dense networks share a program."""

import itertools

import pytest

from hpsearch.training import backend

pytestmark = pytest.mark.skipif(backend.name() != "jax", reason="gangs train on jax")


def shape(*widths, optimizer="adam", size=32):
    from hpsearch.training.batched.clusters import Shape

    return Shape(widths, (64, 10), frozenset([optimizer]), (size, size))


def cluster(wanted, name="member", epochs=10, rows=200):
    from hpsearch.training.batched.clusters import Cluster

    return Cluster(wanted, [name], epochs, rows)


def merged(clusters, known=(), before=()):
    from hpsearch.training.batched.clusters import ProgramDemand, merge_clusters

    return merge_clusters(clusters, ProgramDemand(known, before))


def test_small_networks_share_one_program_whatever_their_optimizer_and_minibatches():
    kinds = itertools.product((9, 20), ("adam", "sgd"), (16, 64))
    clusters = [cluster(shape(w, optimizer=o, size=s), (w, o, s)) for w, o, s in kinds]
    ((wanted, members),) = merged(clusters)
    assert (wanted.widths, wanted.minibatches) == ((24,), (16, 64))
    assert wanted.optimizers == {"adam", "sgd"}
    assert sorted(members) == sorted(c.members[0] for c in clusters)


def test_where_training_takes_long_each_has_its_own():
    sizes = [cluster(shape(512, 512, size=s), s, epochs=10_000) for s in (16, 256)]
    widths = [cluster(shape(w), w, epochs=100_000) for w in (16, 512)]
    assert len(merged(sizes)) == len(merged(widths)) == 2
    assert merged(widths)[0][1] == [16]  # what is trained soonest comes first


def test_a_funnel_is_not_padded_to_its_widest_layer():
    ((wanted, _),) = merged([cluster(shape(256, 128, 64)), cluster(shape(200, 90))])
    assert wanted.widths == (256, 128, 96)


def test_what_is_compiled_is_used_rather_than_compiled_anew():
    known = shape(64, 64).join(shape(48, optimizer="sgd", size=16))
    ((wanted, _),) = merged([cluster(shape(33))], [known])
    assert wanted == known
    ((wanted, _),) = merged([cluster(shape(65))], [known])
    assert wanted != known


def test_many_that_are_alike_get_a_program_though_one_alone_would_not():
    wide = shape(256, 256, 256)
    alone = cluster(shape(90, 90, 90), epochs=90)
    assert merged([alone], [wide])[0][0] == wide
    alike = [cluster(shape(80 + n, 80, 80), n, epochs=90) for n in range(16)]
    ((wanted, members),) = merged(alike, [wide])
    assert (wanted.widths, len(members)) == ((96, 96, 96), 16)


def test_what_came_before_is_expected_again_of_its_own_shape_only():
    wide, small, large = shape(256, 256, 256), shape(64, 64, 64), shape(200, 200, 200)
    before = [(small, 5000, 200)]
    assert merged([cluster(small)], [wide])[0][0] == wide
    assert merged([cluster(small)], [wide], before)[0][0] == small
    assert merged([cluster(large)], [wide], before)[0][0] == wide
    assert merged([cluster(small)], [wide, small], [(large, 5000, 200)])[0][0] == small


def test_a_program_has_few_optimizers():
    found = merged([cluster(shape(8, optimizer=str(n)), n) for n in range(9)])
    assert all(len(wanted.optimizers) <= 4 for wanted, _ in found)
    assert sorted(n for _, members in found for n in members) == list(range(9))


def test_of_many_structures_none_is_lost():
    clusters = [
        cluster(shape(*widths), widths) for widths in itertools.product(range(8, 40), (9, 90))
    ]
    found = merged(clusters)
    assert sorted(m for _, members in found for m in members) == sorted(
        c.members[0] for c in clusters
    )
    for wanted, members in found:
        assert all(wanted.can_hold(shape(*widths)) for widths in members)
