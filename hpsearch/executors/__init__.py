"""Executors: where jobs run. See README.md."""

from hpsearch.executors.base import Executor, Prepare, Work, work_one_by_one
from hpsearch.executors.devices import Device, find_devices
from hpsearch.executors.inline import Inline
from hpsearch.executors.lending import BrokerOfSlots, Move
from hpsearch.executors.lent_slots import Demand, LentSlots
from hpsearch.executors.processes import Processes
from hpsearch.executors.ray_cluster import RayCluster

__all__ = [
    "BrokerOfSlots",
    "Demand",
    "Device",
    "Executor",
    "Inline",
    "LentSlots",
    "Move",
    "Prepare",
    "Processes",
    "RayCluster",
    "Work",
    "find_devices",
    "work_one_by_one",
]
