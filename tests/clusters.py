"""Ray clusters on this machine."""

STORE = 100 * 2**20  # bytes of a node's shared memory


def start_cluster(*nodes):
    """A cluster of such nodes, the first of which is its head."""
    from ray.cluster_utils import Cluster

    head, *others = [{"object_store_memory": STORE, **node} for node in nodes]
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"include_dashboard": False, **head},
        shutdown_at_exit=True,
    )
    for node in others:
        cluster.add_node(**node)
    return cluster
