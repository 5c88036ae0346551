"""The algorithm of Kubernetes' HorizontalPodAutoscaler (autoscaling/v2), as its documentation has it, on numbers that a
test gives: ratios with a tolerance, the largest of several metrics, stabilisation windows, policies of behaviour.

    scaler = Autoscaler(manifest, cpu_request=0.5)
    scaler.sync(now, replicas, ready, {"cpu": 2.4, "rag_searches_per_second": 300})  -> replicas wanted

Metrics are sums over the pods that are ready; a pod that is not counts as using nothing when that would scale up, and
as using its target when it would scale down."""
import math
import re

SYNC_SECONDS = 15
TOLERANCE = 0.1


def quantity(text):
    found = re.fullmatch(r"([0-9.]+)(m?)", str(text))
    return float(found.group(1)) / (1000 if found.group(2) else 1)


class Autoscaler:
    def __init__(self, manifest, cpu_request):
        spec = manifest["spec"]
        self.low, self.high = spec["minReplicas"], spec["maxReplicas"]
        self.targets = {}
        for metric in spec["metrics"]:
            if metric["type"] == "Resource":
                self.targets[metric["resource"]["name"]] = metric["resource"]["target"]["averageUtilization"] / 100 * cpu_request
            else:
                self.targets[metric["pods"]["metric"]["name"]] = quantity(metric["pods"]["target"]["averageValue"])
        self.up, self.down = spec["behavior"]["scaleUp"], spec["behavior"]["scaleDown"]
        self.wishes = []   # (when, replicas): what metrics alone asked for
        self.changes = []  # (when, by how many)

    def _wish(self, replicas, ready, sums):
        wishes = []
        for name, target in self.targets.items():
            ratio = sums[name] / max(ready, 1) / target
            if abs(ratio - 1) <= TOLERANCE:
                wishes.append(replicas)
                continue
            missing = replicas - ready
            if missing > 0:
                total = sums[name] + (0 if ratio > 1 else missing * target)
                again = total / replicas / target
                if (again > 1) != (ratio > 1) or abs(again - 1) <= TOLERANCE:
                    wishes.append(replicas)
                    continue
                wishes.append(math.ceil(again * replicas))
            else:
                wishes.append(math.ceil(ratio * replicas))
        return max(wishes)

    def _bound(self, rules, now, replicas, is_up):
        bounds = []
        for policy in rules["policies"]:
            since = [by for when, by in self.changes if when > now - policy["periodSeconds"] and (by > 0) == is_up]
            start = replicas - sum(since)
            if is_up:
                bounds.append(start + policy["value"] if policy["type"] == "Pods" else math.ceil(start * (1 + policy["value"] / 100)))
            else:
                bounds.append(start - policy["value"] if policy["type"] == "Pods" else math.floor(start * (1 - policy["value"] / 100)))
        most = max if is_up == (rules.get("selectPolicy", "Max") == "Max") else min
        return most(bounds)

    def sync(self, now, replicas, ready, sums):
        wish = self._wish(replicas, ready, sums)
        self.wishes.append((now, wish))
        window_up = [w for when, w in self.wishes if when >= now - self.up["stabilizationWindowSeconds"]]
        window_down = [w for when, w in self.wishes if when >= now - self.down["stabilizationWindowSeconds"]]
        wanted = replicas
        if min(window_up) > replicas:
            wanted = min(min(window_up), max(replicas, self._bound(self.up, now, replicas, True)))
        elif max(window_down) < replicas:
            wanted = max(max(window_down), min(replicas, self._bound(self.down, now, replicas, False)))
        wanted = min(self.high, max(self.low, wanted))
        if wanted != replicas:
            self.changes.append((now, wanted - replicas))
        return wanted
