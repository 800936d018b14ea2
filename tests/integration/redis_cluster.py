"""A real Redis Cluster on the loopback: masters that share the slots evenly, and one replica of the one that holds the purges."""

from pathlib import Path

from harness import until
from redis_server import PATIENT, RedisServer, free_port

MASTERS = 3
SLOTS = 16384
NODE_TIMEOUT_MS = 1500  # until the others take one for dead


class ClusterNode(RedisServer):
    def __init__(self, folder):
        folder.mkdir()
        self.folder, self.bus = folder, free_port()
        super().__init__()
        self.id = self.ask("CLUSTER", "MYID").decode()

    def start(self):
        """Also again: what it knew of the cluster lies in its folder."""
        super().start("--cluster-enabled", "yes", "--cluster-port", self.bus, "--cluster-node-timeout", NODE_TIMEOUT_MS, "--dir", self.folder,
                      "--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", 0)

    def alive(self):
        return self.program.alive()

    def says(self, *words):
        """The lines "name:value" of an INFO."""
        lines = self.ask(*words).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def count(self, section, name):
        """calls=N of commandstats, count=N of errorstats."""
        counted = self.says("INFO", section).get(name, "=0")
        return int(counted.split("=")[1].split(",")[0])


class RedisCluster:
    def __init__(self, folder, held):
        """The master that has the slot of the key `held` gets the replica."""
        self.nodes = []
        try:
            self._form(Path(folder), held)
        except BaseException:
            self.end()
            raise

    def _form(self, folder, held):
        for i in range(MASTERS + 1):
            self.nodes.append(ClusterNode(folder / f"node-{i}"))
        masters = self.nodes[:MASTERS]
        for i, node in enumerate(masters):
            node.ask("CLUSTER", "ADDSLOTSRANGE", SLOTS * i // MASTERS, SLOTS * (i + 1) // MASTERS - 1)
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
        for node in self.nodes[1:]:
            self.nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus)
        until(self.whole, self.described)
        self.nodes[-1].ask("CLUSTER", "REPLICATE", self.owner(held).id)
        self.mend()

    def whole(self):
        """Everybody knows everybody, and that all slots are served."""
        infos = [node.says("CLUSTER", "INFO") for node in self.nodes if node.alive()]
        return all(info["cluster_state"] == "ok" and info["cluster_slots_ok"] == str(SLOTS) and info["cluster_size"] == str(MASTERS)
                   and info["cluster_known_nodes"] == str(len(self.nodes)) for info in infos)

    def described(self):
        return [(node.says("CLUSTER", "INFO"), node.says("INFO", "replication")) for node in self.nodes]

    def mend(self):
        """Every node lives and has its place: whoever was replaced is a replica that has all."""
        for node in self.nodes:
            if node.alive():
                node.go_on()
            else:
                node.start()
        until(self.whole, self.described)
        until(lambda: [node.says("INFO", "replication").get("master_link_status", "up") for node in self.nodes] == ["up"] * len(self.nodes)
              and len(self.masters()) == MASTERS, self.described)

    def end(self):
        for node in self.nodes:
            node.end()

    def settings(self, *nodes, timeout=PATIENT):
        """cache.redis of a gateway that is told these nodes of it, or all."""
        return {"urls": [node.url for node in nodes or self.nodes], "mode": "cluster", "timeout": timeout}

    def slot(self, key):
        return next(node for node in self.nodes if node.alive()).ask("CLUSTER", "KEYSLOT", key)

    def masters(self, of=None):
        """Living nodes that have slots, as `of` or any living node sees it."""
        return list(dict.fromkeys(node for _, _, node in self._ranges(of) if node.alive()))

    def owner(self, key, of=None):
        slot = self.slot(key)
        return next(node for first, last, node in self._ranges(of) if first <= slot <= last)

    def _ranges(self, of):
        ranges = (of or next(node for node in self.nodes if node.alive())).ask("CLUSTER", "SLOTS")
        by_id = {node.id: node for node in self.nodes}
        return [(first, last, by_id[master[2].decode()]) for first, last, master, *_ in ranges]

    def keys(self):
        """Of entries, anywhere."""
        return sorted({key for node in self.nodes if node.alive() for key in node.keys()})

    def open_slot(self, slot, source, target):
        """Source asks for what it has not, target is asked then."""
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)

    def move_keys(self, slot, source, target):
        for key in source.ask("CLUSTER", "GETKEYSINSLOT", slot, 1000):
            source.ask("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)

    def close_slot(self, slot, target):
        """It is target's now, and everybody knows."""
        for node in (target, *(node for node in self.masters() if node is not target)):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", target.id)
