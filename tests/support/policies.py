"""What NetworkPolicies let through, worked out from manifests as Kubernetes' documentation says it.

    lets(policies, source, target, port)    -> both ends let it

An end is the labels of a pod (a dict), the name of a namespace whose pods come or are asked ("ns:monitoring"), or "outside". A
pod that no policy is for lets everything; else one of its policies must. Port: the set of its name and number."""


def selects(selector, labels):
    return all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items()) and \
        all(rule["operator"] == "In" and labels.get(rule["key"]) in rule["values"]
            for rule in selector.get("matchExpressions") or ())


def is_peer(entry, end):
    """Whether a peer of a rule is that end; one given by addresses is anybody outside."""
    if "ipBlock" in entry:
        return end == "outside"
    if isinstance(end, dict):
        return "namespaceSelector" not in entry and selects(entry["podSelector"], end)
    names = (entry.get("namespaceSelector") or {}).get("matchLabels") or {}
    return end.startswith("ns:") and names.get("kubernetes.io/metadata.name") == end[3:]


def end_lets(policies, pod, other, port, direction):
    if not isinstance(pod, dict):
        return True
    own = [policy["spec"] for policy in policies if selects(policy["spec"]["podSelector"], pod) and
           direction in policy["spec"]["policyTypes"]]
    if not own:
        return True
    peers = {"Ingress": "from", "Egress": "to"}[direction]
    for spec in own:
        for rule in spec.get(direction.lower()) or ():
            if "ports" in rule and not any(entry["port"] in port for entry in rule["ports"]):
                continue
            if peers not in rule or any(is_peer(entry, other) for entry in rule[peers]):
                return True
    return False


def lets(policies, source, target, port):
    return end_lets(policies, source, target, port, "Egress") and end_lets(policies, target, source, port, "Ingress")
