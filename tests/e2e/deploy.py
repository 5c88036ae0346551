#!/usr/bin/env python3
"""What stands in deploy/ for one host and for Kubernetes, checked without either. Prints unittest's lines.

    deploy.py

compose.yaml: by the schema of compose files, and by rules of our own. The chart: lint, refusals in words, and every
combination of ci/*.yaml rendered, checked against the schemas of three Kubernetes versions, against the restricted Pod
Security standard written out here, and against what must hold of every pod (probes, limits, tags, policies that reach
it). The autoscaler's policy: simulated on a recorded step of load. deploy/kubernetes is as the chart renders it.
"""
import glob
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import unittest

import jsonschema_rs
import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARS = os.environ.get("TARS", os.path.join(ROOT, "build", "release", "tars"))
CHART = os.path.join(ROOT, "deploy", "helm", "tars")
COMPOSE = os.path.join(ROOT, "deploy", "compose")
TOOLS = subprocess.run([os.path.join(ROOT, "tests", "support", "kubernetes")], check=True, stdout=subprocess.PIPE,
                       text=True).stdout.strip()
HELM, KUBECONFORM = os.path.join(TOOLS, "bin", "helm"), os.path.join(TOOLS, "bin", "kubeconform")
VERSIONS = sorted(os.listdir(os.path.join(TOOLS, "schemas")))
COMBINATIONS = sorted(glob.glob(os.path.join(CHART, "ci", "*-values.yaml")))
SCRAPE_SECONDS = 15  # of Prometheus and of the metrics server
CUSTOM = ("ServiceMonitor", "PrometheusRule")  # of an operator: no schema of Kubernetes has them
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
import cluster  # noqa: E402
import postgres  # noqa: E402
from autoscaler import SYNC_SECONDS, Autoscaler, quantity  # noqa: E402
from policies import lets, selects  # noqa: E402


def load(path):
    with open(path, encoding="utf-8") as file:
        return yaml.safe_load(file)


def known_settings():
    done = subprocess.run([TARS, "config", "--all", "--json"], check=True, stdout=subprocess.PIPE, text=True)
    return set(json.loads(done.stdout))


def helm(*arguments):
    """As built by `go install` it takes itself for one of an old Kubernetes, so it is told."""
    return subprocess.run([HELM, *arguments, "--kube-version", f"{VERSIONS[-1]}.0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)


def render(*arguments):
    done = helm("template", "tars", CHART, "--namespace", "tars", *arguments)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return done.stdout


def name_of(path):
    return os.path.basename(path).removesuffix("-values.yaml")


class Rendered:
    """Every combination, rendered once."""
    texts = {}

    @classmethod
    def text(cls, path):
        if path not in cls.texts:
            cls.texts[path] = render("--values", path)
        return cls.texts[path]

    @classmethod
    def all(cls):
        for path in COMBINATIONS:
            yield name_of(path), [entry for entry in yaml.safe_load_all(cls.text(path)) if entry]


def pods(manifests):
    """(object, pod template) of everything that makes pods."""
    for entry in manifests:
        if entry["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield entry, entry["spec"]["template"]
        elif entry["kind"] == "CronJob":
            yield entry, entry["spec"]["jobTemplate"]["spec"]["template"]


def restricted(pod):
    """What the restricted Pod Security standard has against a pod, a line each."""
    wrong = []
    whole = pod.get("securityContext") or {}
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            wrong.append(field)
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
    for volume in pod.get("volumes") or ():
        wrong += [f"volume {volume['name']}: {kind}" for kind in set(volume) - {"name"} - allowed]
    for container in [*(pod.get("initContainers") or ()), *(pod.get("ephemeralContainers") or ()), *pod["containers"]]:
        own = container.get("securityContext") or {}
        name = container["name"]
        both = {**whole, **own}
        if own.get("privileged"):
            wrong.append(f"{name}: privileged")
        if own.get("allowPrivilegeEscalation") is not False:
            wrong.append(f"{name}: allowPrivilegeEscalation")
        if both.get("runAsNonRoot") is not True:
            wrong.append(f"{name}: runAsNonRoot")
        if both.get("runAsUser") == 0:
            wrong.append(f"{name}: runAsUser 0")
        if (both.get("seccompProfile") or {}).get("type") not in ("RuntimeDefault", "Localhost"):
            wrong.append(f"{name}: seccompProfile")
        capabilities = own.get("capabilities") or {}
        if "ALL" not in (capabilities.get("drop") or ()) or set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}:
            wrong.append(f"{name}: capabilities")
        if both.get("procMount", "Default") != "Default" or (both.get("seLinuxOptions") or {}).get("user"):
            wrong.append(f"{name}: procMount, seLinuxOptions")
        wrong += [f"{name}: hostPort" for port in container.get("ports") or () if port.get("hostPort")]
    wrong += [f"sysctl {entry['name']}" for entry in whole.get("sysctls") or ()]
    return wrong


# ------------------------------------------------------------------------------------------------------- compose


class Compose(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.file = load(os.path.join(COMPOSE, "compose.yaml"))
        cls.services = cls.file["services"]

    def test_schema(self):
        with open(os.path.join(TOOLS, "compose-spec.json"), encoding="utf-8") as file:
            schema = json.load(file)
        validator = jsonschema_rs.validator_for(schema)
        self.assertEqual([f"{list(e.instance_path)}: {e.message}" for e in validator.iter_errors(self.file)], [])

    def test_services_are_hardened(self):
        for name, service in self.services.items():
            with self.subTest(name):
                self.assertEqual(service["cap_drop"], ["ALL"])
                self.assertEqual(service["security_opt"], ["no-new-privileges:true"])
                self.assertTrue(service["read_only"])
                self.assertNotIn("privileged", service)
                self.assertIn("healthcheck", service)
                self.assertRegex(service["image"], r"^[^:]+:(?!latest$)[\w.-]+$")
                for port in service.get("ports") or ():
                    self.assertRegex(port, r"^(127\.0\.0\.1|\$\{TARS_ADDRESS:-127\.0\.0\.1\}):")

    def test_alone_it_is_the_server(self):
        self.assertEqual([n for n, s in self.services.items() if not s.get("profiles")], ["tars"])
        self.assertEqual({p for s in self.services.values() for p in s.get("profiles") or ()},
                         {"redis", "postgres", "ollama", "monitoring"})
        with open(os.path.join(ROOT, "VERSION"), encoding="utf-8") as file:
            self.assertEqual(self.services["tars"]["image"], f"tars:{file.read().strip()}")

    def test_volumes_and_files_are_there(self):
        used = set()
        for name, service in self.services.items():
            for volume in service.get("volumes") or ():
                if isinstance(volume, str):
                    used.add(volume.split(":")[0])
                    continue
                source = re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", volume["source"])
                self.assertTrue(os.path.exists(os.path.join(COMPOSE, source)), f"{name}: {source}")
                self.assertTrue(volume["read_only"], source)
        self.assertEqual(used, set(self.file["volumes"]))
        build = self.services["tars"]["build"]
        self.assertTrue(os.path.exists(os.path.join(COMPOSE, build["context"], build["dockerfile"])))

    def test_names_are_settings(self):
        known = known_settings()
        with open(os.path.join(COMPOSE, "tars.env.example"), encoding="utf-8") as file:
            names = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", file.read(), re.MULTILINE))
        names |= set(self.services["tars"]["environment"])
        self.assertEqual(names - known, set())

    def test_prometheus_reads_the_second_port(self):
        config = load(os.path.join(COMPOSE, "prometheus.yml"))
        job = config["scrape_configs"][0]
        self.assertEqual(job["job_name"], "tars")
        self.assertEqual(job["static_configs"][0]["targets"], [f"tars:{self.services['tars']['environment']['PROMETHEUS_PORT']}"])
        done = subprocess.run(["promtool", "check", "config", "--syntax-only", os.path.join(COMPOSE, "prometheus.yml")],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)


# --------------------------------------------------------------------------------------------------------- chart


class Chart(unittest.TestCase):
    def test_lint(self):
        for path in COMBINATIONS:
            with self.subTest(name_of(path)):
                done = helm("lint", "--strict", CHART, "--values", path)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_schemas_of_three_versions(self):
        self.assertEqual(len(VERSIONS), 3)
        documents = "\n---\n".join(Rendered.text(path) for path in COMBINATIONS)
        for version in VERSIONS:
            with self.subTest(version):
                where = os.path.join(TOOLS, "schemas", version, "{{.ResourceKind}}{{.KindSuffix}}.json")
                done = subprocess.run([KUBECONFORM, "-strict", "-summary", "-output", "json", "-kubernetes-version",
                                       f"{version}.0", "-skip", ",".join(CUSTOM), "-schema-location", where],
                                      input=documents, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
                self.assertEqual(done.returncode, 0, done.stdout)
                summary = json.loads(done.stdout)["summary"]
                self.assertEqual((summary["invalid"], summary["errors"]), (0, 0), done.stdout)
                self.assertGreater(summary["valid"], 50)

    def test_schemas_do_refuse(self):
        where = os.path.join(TOOLS, "schemas", VERSIONS[0], "{{.ResourceKind}}{{.KindSuffix}}.json")
        wrong = Rendered.text(COMBINATIONS[0]).replace("periodSeconds: 10", "periodSeconds: ten")
        done = subprocess.run([KUBECONFORM, "-strict", "-schema-location", where], input=wrong, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)

    def test_refuses_in_words(self):
        rows = [
            ("replicas", ["server.replicas=2"], "embedded store belongs to one server"),
            ("autoscaling", ["autoscaling.enabled=true"], "embedded store belongs to one server"),
            ("external without a host", ["redis.mode=external"], "redis.mode external needs redis.host"),
            ("no password", ["postgresql.mode=bundled"], "postgresql.auth: give existingSecret"),
            ("unused", ["chromadb.mode=bundled"], "nothing would use it"),
            ("two secrets", ["secrets.existing=a", "secrets.values.METRICS_TOKEN=b"], "existing or values, not both"),
            ("open", ["config.TARS_AUTH=open"], "lets anybody who reaches the port"),
            ("workers", ["workers.replicas=1"], "embedded store belongs to one server"),
            ("snapshots", ["snapshots.existingClaim=s"], "nobody to share its index with"),
            ("a dump without authorities", ["backup.enabled=true", "store.backend=postgres", "postgresql.mode=external", "postgresql.host=h",
                                            "postgresql.auth.password=p", "postgresql.sslmode=verify-full"], "need postgresql.caSecret"),
            ("authorities of our own server", ["redis.mode=bundled", "redis.caSecret=c"], "only an external server"),
            ("a sealed dump", ["backup.enabled=true", "store.backend=postgres", "postgresql.mode=bundled",
                               "postgresql.auth.password=p", "backup.keySecret=k"], "dumps of PostgreSQL are not sealed"),
            ("store without a server", ["store.backend=postgres"], "needs postgresql.mode"),
            ("disruption", ["preview=true", "secrets.existing=s", "store.backend=postgres", "postgresql.mode=bundled", "postgresql.auth.password=p",
                            "server.replicas=2", "podDisruptionBudget.minAvailable=2"], "no node can be drained"),
            ("unknown value", ["server.replica=2"], "replica"),
            ("latest", ["image.tag=latest"], "tag"),
            ("setting", ["config.log_level=DEBUG"], "log_level"),
        ]
        shared = ["store.backend=postgres", "postgresql.mode=bundled", "postgresql.auth.password=p"]
        rows += [
            ("vectors", ["vectors.backend=pgvector"], "needs postgresql.mode bundled or external"),
            ("vectors without a server", ["vectors.backend=chroma"], "needs chromadb.mode bundled or external"),
            ("an image without pgvector", [*shared, "vectors.backend=pgvector"], "has not the extension"),
            ("TLS of our Redis", ["redis.mode=bundled", "redis.tls=true"], "bundled Redis has no certificate"),
            ("TLS of our PostgreSQL", [*shared, "postgresql.sslmode=require"], "bundled PostgreSQL has no certificate"),
            ("one volume of many", [*shared, "server.replicas=2", "persistence.existingClaim=c"], "a folder each"),
            ("most below least", [*shared, "autoscaling.enabled=true", "autoscaling.minReplicas=4", "autoscaling.maxReplicas=3"],
             "must not be less than autoscaling.minReplicas"),
            ("port", ["config.BACKEND_PORT=9000"], "config.BACKEND_PORT"),
            ("drain", ["config.DRAIN_SECONDS=60"], "terminationGracePeriodSeconds must be more"),
        ]
        with open(os.path.join(ROOT, "docs", "configuration.md"), encoding="utf-8") as file:
            secret = re.findall(r"^\| `([A-Z_]+)` .*\*\*secret\*\*", file.read(), re.MULTILINE)
        with open(os.path.join(CHART, "templates", "_supports.tpl"), encoding="utf-8") as file:
            refused = re.search(r'list ("JWT_SECRET_KEY".*?) -', file.read()).group(1)
        self.assertEqual(sorted(re.findall(r"\w+", refused)), sorted(secret))
        rows += [(name, [f"config.{name}=abc"], "no place for a secret") for name in secret[-1:]]
        for name, values, words in rows:
            with self.subTest(name):
                done = helm("template", "tars", CHART, *[x for value in values for x in ("--set", value)])
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(words, done.stderr)

    def test_restricted_pod_security(self):
        count = 0
        for combination, manifests in Rendered.all():
            for entry, template in pods(manifests):
                count += 1
                with self.subTest(combination, name=entry["metadata"]["name"]):
                    self.assertEqual(restricted(template["spec"]), [])
        self.assertGreater(count, 10)

    def test_the_rules_see_what_is_wrong(self):
        _, manifests = next((c, m) for c, m in Rendered.all() if c == "default")
        _, template = next(pods(manifests))
        for change, found in (
                (lambda p: p["containers"][0]["securityContext"].pop("capabilities"), "tars: capabilities"),
                (lambda p: p["securityContext"].update(runAsNonRoot=False), "tars: runAsNonRoot"),
                (lambda p: p["securityContext"].pop("seccompProfile"), "tars: seccompProfile"),
                (lambda p: p.update(hostNetwork=True), "hostNetwork"),
                (lambda p: p["volumes"].append({"name": "x", "hostPath": {"path": "/"}}), "volume x: hostPath")):
            pod = json.loads(json.dumps(template["spec"]))
            change(pod)
            self.assertEqual(restricted(pod), [found])

    def test_every_container(self):
        for combination, manifests in Rendered.all():
            for entry, template in pods(manifests):
                is_job = entry["kind"] == "CronJob"
                self.assertIs(template["spec"]["automountServiceAccountToken"], False)
                for container in [*(template["spec"].get("initContainers") or ()), *template["spec"]["containers"]]:
                    with self.subTest(combination, name=container["name"]):
                        self.assertRegex(container["image"], r":(?!latest$)[\w.-]+$")
                        self.assertIs(container["securityContext"]["readOnlyRootFilesystem"], True)
                        for kind in ("requests", "limits"):
                            self.assertEqual(set(container["resources"][kind]), {"cpu", "memory"})
                        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                            self.assertEqual(probe in container, not is_job, probe)
                        self.check_mounts(template["spec"], container, entry)

    def check_mounts(self, pod, container, entry):
        """A read-only root, so what is written is a volume; and each that is mounted is there, and the other way round."""
        there = {volume["name"] for volume in pod.get("volumes") or ()}
        there |= {claim["metadata"]["name"] for claim in entry["spec"].get("volumeClaimTemplates") or ()}
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        self.assertEqual(mounted, there)
        if container["name"] == "tars" or container.get("command", [""])[0] == "/usr/bin/tars":
            self.assertLessEqual({"/data", "/tmp"}, {mount["mountPath"] for mount in container["volumeMounts"]})
        if container["name"] == "tars":
            probes = [container[p] for p in ("startupProbe", "livenessProbe", "readinessProbe")]
            self.assertEqual([p["httpGet"]["path"] for p in probes], ["/health", "/health", "/ready"])
            self.assertGreaterEqual(probes[0]["periodSeconds"] * probes[0]["failureThreshold"], 3600)

    def test_names_are_settings(self):
        known = known_settings()
        for combination, manifests in Rendered.all():
            names = set()
            for entry in manifests:
                if entry["kind"] == "ConfigMap" and entry["metadata"]["name"] == "tars-config":
                    names |= set(entry["data"])
                if entry["kind"] == "StatefulSet" and entry["metadata"]["name"] == "tars":
                    names |= {env["name"] for env in entry["spec"]["template"]["spec"]["containers"][0].get("env") or ()}
                if entry["kind"] == "Secret" and entry["metadata"]["name"] == "tars-secrets":
                    names |= set(entry["stringData"])
            with self.subTest(combination):
                self.assertTrue(names)
                self.assertEqual(names - known, set())

    def test_policies_reach_every_pod(self):
        """Deny first, then for each pod what it needs; and every selector of a policy or service finds a pod."""
        for combination, manifests in Rendered.all():
            policies = [entry for entry in manifests if entry["kind"] == "NetworkPolicy"]
            labels = [template["metadata"]["labels"] for _, template in pods(manifests)]
            with self.subTest(combination):
                if load(os.path.join(CHART, "ci", f"{combination}-values.yaml")).get("networkPolicy", {}).get("enabled") is False:
                    self.assertEqual(policies, [])
                    continue
                deny = [p for p in policies if "ingress" not in p["spec"] and "egress" not in p["spec"]]
                self.assertEqual(len(deny), 1)
                self.assertEqual(deny[0]["spec"]["policyTypes"], ["Ingress", "Egress"])
                for label in labels:
                    self.assertTrue(selects(deny[0]["spec"]["podSelector"], label))
                    if label["app.kubernetes.io/component"] != "backup" or combination in ("dumps", "cluster", "workers"):
                        self.assertEqual(len([p for p in policies if selects(p["spec"]["podSelector"], label)]), 2, label)
                for policy in policies:
                    self.assertTrue(any(selects(policy["spec"]["podSelector"], label) for label in labels))
                self.check_peers(manifests, policies, labels)
            for entry in manifests:
                if entry["kind"] == "Service":
                    self.assertTrue(any(selects({"matchLabels": entry["spec"]["selector"]}, label) for label in labels))

    def check_peers(self, manifests, policies, labels):
        """What the server may reach lets it in, and the ports that policies name are those of the pods."""
        by_part = {label["app.kubernetes.io/component"]: label for label in labels}
        ports = {template["metadata"]["labels"]["app.kubernetes.io/component"]:
                 {port["name"] for c in template["spec"]["containers"] for port in c.get("ports") or ()}
                 for _, template in pods(manifests)}
        for policy in policies:
            part = policy["spec"]["podSelector"]["matchLabels"].get("app.kubernetes.io/component")
            for rule in policy["spec"].get("ingress") or ():
                self.assertLessEqual({port["port"] for port in rule["ports"]}, ports[part])
            for rule in policy["spec"].get("egress") or ():
                for peer in rule.get("to") or ():
                    to = (peer.get("podSelector") or {}).get("matchLabels", {}).get("app.kubernetes.io/component")
                    if to:
                        self.assertLessEqual({port["port"] for port in rule["ports"]}, ports[to])
                        own = next(p for p in policies if p["spec"]["podSelector"]["matchLabels"].get("app.kubernetes.io/component") == to)
                        self.assertTrue(any(selects(source["podSelector"], by_part[part])
                                            for r in own["spec"]["ingress"] for source in r["from"]))

    def test_policies_let_through_what_is_needed_and_nothing_else(self):
        """Every flow between the parts, to and from each other namespace and outside: as it should be."""
        own_ports = {"server": {"http", 8000}, "worker": {"http", 8000}, "redis": {"main", 6379}, "postgresql": {"main", 5432},
                     "chromadb": {"main", 8000}, "ollama": {"main", 11434}, "backup": {1}}
        flows = 0
        for combination, manifests in Rendered.all():
            policies = [entry for entry in manifests if entry["kind"] == "NetworkPolicy"]
            parts = {template["metadata"]["labels"]["app.kubernetes.io/component"]: template["metadata"]["labels"]
                     for _, template in pods(manifests)}
            if not policies:
                continue
            clients = {"server", "worker"} & set(parts)
            dumps = "PGHOST" in {env["name"] for entry, template in pods(manifests) if entry["kind"] == "CronJob"
                                 for env in template["spec"]["containers"][0].get("env") or ()}
            for name, labels in parts.items():
                with self.subTest(combination, part=name):
                    for other, target in parts.items():
                        needed = name in clients and other not in ("server", "worker", "backup") or \
                            (name, other) == ("backup", "postgresql") and dumps
                        flows += needed
                        self.assertEqual(lets(policies, labels, target, own_ports[other]), needed, other)
                    self.assertEqual(lets(policies, "ns:ingress-nginx", labels, own_ports[name]), name == "server")
                    self.assertEqual(lets(policies, "ns:monitoring", labels, {"metrics", 9464}), name in clients)
                    for stranger in ("ns:default", "outside"):
                        self.assertFalse(lets(policies, stranger, labels, {"metrics", 9464, *own_ports[name]}), stranger)
                    self.assertFalse(lets(policies, "ns:monitoring", labels, own_ports[name]))
                    asks = name in clients or name == "ollama" or name == "backup" and dumps
                    self.assertEqual(lets(policies, labels, "ns:kube-system", {53}), asks)
                    self.assertFalse(lets(policies, labels, "outside", {25}))
            for part, port in (("redis", 6379), ("postgresql", 5432), ("ollama", 11434)):
                values = load(os.path.join(CHART, "ci", f"{combination}-values.yaml")).get(part) or {}
                self.assertEqual(lets(policies, parts["server"], "outside", {port}), values.get("mode") == "external", part)
        self.assertGreater(flows, 15)

    def test_any_of_them_can_become_any_other(self):
        """By helm upgrade: what Kubernetes does not change in place is the same in all, but for the volume of the data."""
        fixed = {"Deployment": ("selector",), "StatefulSet": ("selector", "serviceName", "volumeClaimTemplates", "podManagementPolicy"),
                 "Service": ("clusterIP",)}
        seen = {}
        for combination, manifests in Rendered.all():
            for entry in manifests:
                for field in fixed.get(entry["kind"], ()):
                    if (entry["kind"], field) == ("StatefulSet", "volumeClaimTemplates") and entry["metadata"]["name"] == "tars":
                        continue
                    key = (entry["kind"], entry["metadata"]["name"], field)
                    value = entry["spec"].get(field)
                    self.assertEqual(seen.setdefault(key, value), value, (combination, key))
        self.assertGreater(len(seen), 15)

    def test_ingress_lets_streams_and_sockets_through(self):
        _, manifests = next((c, m) for c, m in Rendered.all() if c == "ingress")
        ingress = next(entry for entry in manifests if entry["kind"] == "Ingress")
        notes = {key.split("/")[-1]: value for key, value in ingress["metadata"]["annotations"].items()}
        self.assertEqual((notes["proxy-buffering"], notes["proxy-http-version"], notes["ssl-redirect"]), ("off", "1.1", "true"))
        self.assertGreaterEqual(int(notes["proxy-read-timeout"]), 300)  # WS_TIMEOUT_SECONDS
        self.assertEqual(ingress["spec"]["tls"], [{"hosts": ["ask.example"], "secretName": "ask-tls"}])
        config = next(e["data"] for e in manifests if e["kind"] == "ConfigMap")
        self.assertEqual((config["ENABLE_HTTPS"], config["ALLOWED_ORIGINS"]), ("true", "https://ask.example"))

    def test_monitoring_is_what_deploy_has(self):
        _, manifests = next((c, m) for c, m in Rendered.all() if c == "bundled")
        rules = next(entry for entry in manifests if entry["kind"] == "PrometheusRule")
        self.assertEqual(rules["spec"], load(os.path.join(ROOT, "deploy", "prometheus", "tars-alerts.yml")))
        boards = {key: value for entry in manifests if entry["kind"] == "ConfigMap" and "dashboard" in entry["metadata"]["name"]
                  for key, value in entry["data"].items()}
        files = sorted(glob.glob(os.path.join(ROOT, "deploy", "grafana", "*.json")))
        self.assertEqual(sorted(boards), [os.path.basename(path) for path in files])
        for path in files:
            with open(path, encoding="utf-8") as file:
                self.assertEqual(json.loads(boards[os.path.basename(path)]), json.load(file))
        monitor = next(entry for entry in manifests if entry["kind"] == "ServiceMonitor")
        services = [e for e in manifests if e["kind"] == "Service" and selects(monitor["spec"]["selector"], e["metadata"]["labels"])]
        self.assertEqual([s["metadata"]["name"] for s in services], ["tars-metrics"])
        self.assertIn(monitor["spec"]["endpoints"][0]["port"], [port["name"] for port in services[0]["spec"]["ports"]])

    def test_odd_values_stay_what_they_are(self):
        """A release named by a number, numbers too large for a float's short form, passwords under one key."""
        for release in ("123", "1e5", "e" * 53):
            done = helm("template", release, CHART, "--values", os.path.join(CHART, "ci", "bundled-values.yaml"),
                        "--set-json", 'config={"CACHE_MEMORY_MB": 12345678, "HYBRID_ALPHA": 0.25, "WORDS_TYPOS": true}',
                        "--set-json", 'secrets={"values": {"METRICS_TOKEN": 123456789012}}',
                        "--set-string", "redis.auth.key=password,postgresql.auth.key=password,persistence.storageClass=1",
                        "--set-string", "image.pullSecrets={1}")
            self.assertEqual(done.returncode, 0, done.stderr)
            manifests = [entry for entry in yaml.safe_load_all(done.stdout) if entry]
            for entry in manifests:
                labels = entry["metadata"]["labels"]
                self.assertEqual([v for v in labels.values() if not isinstance(v, str) or len(v) > 63], [], entry["kind"])
            by_end = {(e["kind"], e["metadata"]["name"].split("-")[-1]): e for e in manifests}
            config = by_end["ConfigMap", "config"]["data"]
            self.assertEqual([config[n] for n in ("CACHE_MEMORY_MB", "HYBRID_ALPHA", "WORDS_TYPOS")], ["12345678", "0.25", "true"])
            self.assertEqual(by_end["Secret", "secrets"]["stringData"], {"METRICS_TOKEN": "123456789012"})
            passwords = by_end["Secret", "passwords"]["stringData"]
            for entry, template in pods(manifests):
                self.assertEqual(template["spec"]["imagePullSecrets"], [{"name": "1"}])
                for env in template["spec"]["containers"][0].get("env") or ():
                    if "valueFrom" in env:
                        want = {"REDIS_PASSWORD": "cache-0123456789", "POSTGRES_PASSWORD": "log-0123456789"}[env["name"]]
                        self.assertEqual(passwords[env["valueFrom"]["secretKeyRef"]["key"]], want)

    def test_authorities_are_where_settings_say(self):
        """The files that certificates of other servers are checked against: mounted, or the image's own."""
        seen = set()
        for combination, manifests in Rendered.all():
            config = next(e["data"] for e in manifests if e["kind"] == "ConfigMap" and e["metadata"]["name"] == "tars-config")
            for entry, template in pods(manifests):
                container = template["spec"]["containers"][0]
                given = {e["name"]: e["value"] for e in container.get("env") or () if "value" in e}
                given |= config if container["name"] == "tars" else {}
                volumes = {v["name"]: v for v in template["spec"].get("volumes") or ()}
                mounts = {m["mountPath"]: volumes.get(m["name"]) for m in container["volumeMounts"]}
                for name in {"POSTGRES_SSLROOTCERT", "PGSSLROOTCERT", "REDIS_TLS_CA"} & set(given):
                    with self.subTest(combination, name=name):
                        seen.add((name, given[name].split("/")[2]))
                        if given[name] != "/etc/ssl/certs/ca-certificates.crt":  # scripts/rootfs has it
                            self.assertEqual(mounts[os.path.dirname(given[name])]["secret"]["secretName"], "office-ca")
            if config.get("POSTGRES_SSLMODE", "").startswith("verify-"):
                self.assertIn("POSTGRES_SSLROOTCERT", config, combination)
        self.assertEqual(seen, {("POSTGRES_SSLROOTCERT", "tars"), ("POSTGRES_SSLROOTCERT", "ssl"), ("PGSSLROOTCERT", "tars"),
                                ("REDIS_TLS_CA", "tars")})

    def test_budgets_let_a_node_be_drained(self):
        few = helm("template", "tars", CHART, "--values", os.path.join(CHART, "ci", "workers-values.yaml"), "--set",
                   "server.replicas=1").stdout
        sets = [*Rendered.all(), ("one server, workers apart", [e for e in yaml.safe_load_all(few) if e])]
        for name, manifests in sets:
            server = next(e for e in manifests if e["kind"] in ("Deployment", "StatefulSet") and e["metadata"]["name"] == "tars")
            scalers = [e for e in manifests if e["kind"] == "HorizontalPodAutoscaler"]
            least = scalers[0]["spec"]["minReplicas"] if scalers else server["spec"]["replicas"]
            budgets = [e for e in manifests if e["kind"] == "PodDisruptionBudget"]
            with self.subTest(name):
                self.assertEqual(len(budgets), 1 if least > 1 else 0)
                for budget in budgets:
                    self.assertLess(budget["spec"]["minAvailable"], least)

    def test_metrics_have_no_port_outside(self):
        for combination, manifests in Rendered.all():
            for entry in manifests:
                if entry["kind"] == "Service" and entry["spec"].get("clusterIP") != "None" and "tars" == entry["metadata"]["name"]:
                    self.assertEqual([port["name"] for port in entry["spec"]["ports"]], ["http"], combination)

    def test_addresses_of_settings_are_let_out(self):
        """Servers that settings name by an address are reached, though everything is denied."""
        text = render("--set-json", json.dumps({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.obs:4318", "OPENAI_BASE_URL":
                                                "https://llm.example", "RERANK_URL": "http://rank.example/v1"}).join(("config=", "")),
                      "--set-json", 'networkPolicy.dns=[{"ipBlock": {"cidr": "169.254.20.10/32"}}]')
        policy = next(e for e in yaml.safe_load_all(text) if e and e["kind"] == "NetworkPolicy" and e["metadata"]["name"] == "tars-server")
        rules = policy["spec"]["egress"]
        self.assertEqual(rules[0]["to"], [{"ipBlock": {"cidr": "169.254.20.10/32"}}])
        self.assertEqual(sorted(rule["ports"][0]["port"] for rule in rules[1:]), [80, 443, 4318])

    def test_notes_speak_of_what_there_is(self):
        for combination, scheme, more in (("cluster", "https://ask.example", ()), ("external", "http://tars.example", ()),
                                          ("default", "https://127.0.0.1:8000", ("--set", "server.tls.secretName=t"))):
            with self.subTest(combination), cluster.Cluster({}) as api:
                values = os.path.join(CHART, "ci", f"{combination}-values.yaml")
                done = subprocess.run([HELM, "install", "tars", CHART, "--namespace", "tars", "--values", values, *more, "--dry-run=client",
                                       "--disable-openapi-validation", "--kube-apiserver", api.url, "--kube-token", "x"],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
                self.assertEqual(done.returncode, 0, done.stderr)
                notes = done.stdout.split("\nNOTES:\n")[1]
                self.assertIn(f"open {scheme}\n", f"{notes}\n")
                there = {f"{e['kind'].lower()}/{e['metadata']['name']}" for e in dict(Rendered.all())[combination]}
                named = re.findall(r"\b(?:statefulset|deployment|service)/[a-z-]+", notes)
                self.assertTrue(named and set(named) <= there, named)

    def test_an_upgrade_keeps_the_replicas_that_run(self):
        """Where the autoscaler has made five of them, an upgrade must not begin again with one."""
        arguments = ["template", "tars", CHART, "--namespace", "tars", "--values", os.path.join(CHART, "ci", "replicas-values.yaml")]
        for running, said in ((5, 5), (1, 2)):
            with cluster.Cluster({"deployments": [{"metadata": {"name": "tars", "namespace": "tars"}, "spec": {"replicas": running}}]}) as api:
                done = subprocess.run([HELM, *arguments, "--dry-run=server", "--kube-version", f"{VERSIONS[-1]}.0", "--kube-apiserver", api.url, "--kube-token", "x"],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
                self.assertEqual(done.returncode, 0, done.stderr)
            server = next(e for e in yaml.safe_load_all(done.stdout) if e and e["kind"] == "Deployment")
            self.assertEqual(server["spec"]["replicas"], said)
        plain = next(e for e in dict(Rendered.all())["replicas"] if e["kind"] == "Deployment")
        self.assertNotIn("replicas", plain["spec"])

    def test_backup_may_go_where_the_server_is(self):
        text = render("--values", os.path.join(CHART, "ci", "backup-values.yaml"), "--set-json",
                      'server={"tolerations": [{"key": "dedicated", "operator": "Exists"}]}', "--set", "image.pullSecrets={mine}")
        manifests = {e["kind"]: e for e in yaml.safe_load_all(text) if e}
        job, server = (next(t["spec"] for _, t in pods([manifests[kind]])) for kind in ("CronJob", "StatefulSet"))
        for field in ("tolerations", "imagePullSecrets"):
            self.assertEqual(job[field], server[field])
            self.assertTrue(job[field])

    def test_backup_runs_beside_the_server(self):
        _, manifests = next((c, m) for c, m in Rendered.all() if c == "backup")
        job = next(entry for entry in manifests if entry["kind"] == "CronJob")
        server = next(entry for entry in manifests if entry["kind"] == "StatefulSet")
        pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        term = pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]
        self.assertTrue(selects(term["labelSelector"], server["spec"]["template"]["metadata"]["labels"]))
        claims = {v["name"]: v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"] if "persistentVolumeClaim" in v}
        self.assertEqual(claims, {"data": f"data-{server['metadata']['name']}-0", "backup": "tars-backup"})
        self.assertEqual([c["name"] for c in pod["containers"]], ["backup"])
        self.assertEqual(pod["containers"][0]["command"][1:7], ["backup", "/backup", "--data", "/data", "--keep", "96"])
        self.assertEqual(job["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"][0]["action"], "FailJob")
        key = next(v for v in pod["volumes"] if v["name"] == "key")
        self.assertEqual(key["secret"]["secretName"], "backup-key")

    def test_the_manuals_pods_are_restricted(self):
        with open(os.path.join(ROOT, "docs", "kubernetes.md"), encoding="utf-8") as file:
            texts = re.findall(r"```yaml\n# restore\S*.yaml\n(.*?)```", file.read(), re.DOTALL)
        self.assertEqual(len(texts), 2)
        where = os.path.join(TOOLS, "schemas", VERSIONS[-1], "{{.ResourceKind}}{{.KindSuffix}}.json")
        for text in texts:
            self.assertEqual(restricted(yaml.safe_load(text)["spec"]), [])
            done = subprocess.run([KUBECONFORM, "-strict", "-schema-location", where], input=text, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stdout)

    def test_the_manuals_pod_reaches_the_dumps_database(self):
        with open(os.path.join(ROOT, "docs", "kubernetes.md"), encoding="utf-8") as file:
            pod = yaml.safe_load(re.search(r"```yaml\n# restore-dump.yaml\n(.*?)```", file.read(), re.DOTALL).group(1))
        manifests = dict(Rendered.all())["dumps"]
        policies = {e["metadata"]["name"]: e["spec"] for e in manifests if e["kind"] == "NetworkPolicy"}
        self.assertTrue(selects(policies["tars-backup"]["podSelector"], pod["metadata"]["labels"]))
        self.assertTrue(any(selects(source["podSelector"], pod["metadata"]["labels"])
                            for rule in policies["tars-postgresql"]["ingress"] for source in rule["from"]))
        server = next(e for e in manifests if e["kind"] == "StatefulSet" and e["metadata"]["name"] == "tars")
        self.assertFalse(selects({"matchLabels": server["spec"]["selector"]["matchLabels"]}, pod["metadata"]["labels"]))

    def test_versions_are_ours(self):
        with open(os.path.join(ROOT, "VERSION"), encoding="utf-8") as file:
            version = file.read().strip()
        chart = load(os.path.join(CHART, "Chart.yaml"))
        self.assertEqual((chart["version"], chart["appVersion"]), (version, version))

    def test_plain_manifests_are_current(self):
        done = subprocess.run([sys.executable, "-B", os.path.join(ROOT, "tools", "manifests"), "--check"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, env={**os.environ, "HELM": HELM})
        self.assertEqual(done.returncode, 0, done.stdout)


# --------------------------------------------------------------------------------------------------------- dumps


class Dumps(unittest.TestCase):
    """What the backup job runs where documents are in PostgreSQL, run on one, and its dump restored as the manual says."""

    def test_dumped_and_restored(self):
        manifests = [e for e in yaml.safe_load_all(Rendered.text(os.path.join(CHART, "ci", "dumps-values.yaml"))) if e]
        job = next(e for e in manifests if e["kind"] == "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
        database = postgres.Postgres()
        self.addCleanup(database.close)
        with tempfile.TemporaryDirectory() as folder:
            backups = os.path.join(folder, "backup")
            os.mkdir(backups)
            script = job["args"][0].replace("/tmp/contents", os.path.join(folder, "contents")).replace("/backup/", f"{backups}/")
            said = {**os.environ, "PATH": f"{postgres.BIN}:{os.environ['PATH']}", "PGHOST": "127.0.0.1", "PGPORT": str(database.port),
                    "PGUSER": postgres.USER, "PGDATABASE": postgres.DATABASE, "KEEP": "2"}
            self.assertLessEqual({entry["name"] for entry in job["env"]}, {*said, "PGSSLMODE", "PGPASSWORD"})

            def run(**more):
                return subprocess.run([*job["command"], script], env={**said, **more}, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, timeout=60, check=False)

            self.assertNotEqual(run().returncode, 0, "a database without documents")
            self.assertEqual(glob.glob(f"{backups}/*.dump"), [])
            environment = {**os.environ, **database.environment(), "STORE": "postgres", "TARS_DATA": os.path.join(folder, "data")}
            subprocess.run([TARS, "ingest", "-q", os.path.join(ROOT, "samples")], env=environment, check=True, timeout=120)
            for name in ("tars-20200101T000000Z.dump", "tars-20200102T000000Z.dump", "tars-20200103T000000Z.dump.part"):
                with open(os.path.join(backups, name), "wb"):
                    pass
            done = run()
            self.assertEqual(done.returncode, 0, done.stdout)
            kept = sorted(os.listdir(backups))
            self.assertEqual((len(kept), kept[0]), (2, "tars-20200102T000000Z.dump"), kept)
            self.assertNotEqual(run(PGPORT="1").returncode, 0, "no database")
            self.assertEqual(sorted(glob.glob(f"{backups}/*.dump")), [os.path.join(backups, name) for name in kept])
            before = database.query("SELECT count(*), min(id) FROM tars.documents")
            subprocess.run([TARS, "forget", os.path.join(ROOT, "samples")], env=environment, check=True, timeout=120)
            self.assertNotEqual(database.query("SELECT count(*), min(id) FROM tars.documents"), before)
            self.restore(said, backups)
            self.assertEqual(database.query("SELECT count(*), min(id) FROM tars.documents"), before)
            self.assertGreater(int(before[0][0]), 0)
            self.assertEqual(database.query("SELECT count(*) FROM tars.documents", database="tars_before"), [["0"]])

    def restore(self, said, backups):
        """By the manual's pod; the superuser of a bundled PostgreSQL is the user that it names."""
        with open(os.path.join(ROOT, "docs", "kubernetes.md"), encoding="utf-8") as file:
            pod = yaml.safe_load(re.search(r"```yaml\n# restore-dump.yaml\n(.*?)```", file.read(), re.DOTALL).group(1))
        container = pod["spec"]["containers"][0]
        script = container["args"][0].replace("/backup/", f"{backups}/").replace("DATABASE tars ", f"DATABASE {postgres.DATABASE} ")
        script = re.sub(r"TO tars\b", f"TO {postgres.DATABASE}", script)
        done = subprocess.run([*container["command"], script], env={**said, "PGUSER": "postgres"}, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)


# ---------------------------------------------------------------------------------------------------- autoscaler


class Policy(unittest.TestCase):
    """The chart's HorizontalPodAutoscaler on the recorded step of load, FACTOR times as much of it. A new pod takes START
    seconds to be ready; pods share what comes."""
    FACTOR = 10
    START = 30

    @classmethod
    def setUpClass(cls):
        _, cls.manifests = next((c, m) for c, m in Rendered.all() if c == "replicas")
        cls.hpa = next(entry for entry in cls.manifests if entry["kind"] == "HorizontalPodAutoscaler")
        cls.budget = next(entry for entry in cls.manifests if entry["kind"] == "PodDisruptionBudget")
        server = next(entry for entry in cls.manifests if entry["kind"] == "Deployment")
        cls.request = quantity(server["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"])
        with open(os.path.join(ROOT, "tests", "golden", "hpa", "step.json"), encoding="utf-8") as file:
            cls.recorded = json.load(file)

    def simulate(self, samples, step, offset=0):
        """[(second, replicas)] at each sync, the first at offset; samples go on with the last third for as long as scaling down
        may take. What the autoscaler sees is late: the adapter's rate is over the minute before the last scrape, and
        processor time that of the last whole interval but one of the metrics server."""
        scaler = Autoscaler(self.hpa, self.request)
        replicas, ready_at, history = scaler.low, [], []
        tail = samples[-len(samples) // 6:]

        def mean(key, begin, end):
            indexes = [max(0, second // step) for second in range(begin, end)]
            values = [samples[i] if i < len(samples) else tail[(i - len(samples)) % len(tail)] for i in indexes]
            return sum(value[key] for value in values) / len(values) * self.FACTOR

        for now in range(offset, len(samples) * step + 1500, SYNC_SECONDS):
            scraped = now // SCRAPE_SECONDS * SCRAPE_SECONDS
            ready_at = [t for t in ready_at if t > now]
            ready = max(1, replicas - len(ready_at))
            wanted = scaler.sync(now, replicas, ready, {"cpu": mean("cpu", scraped - 2 * SCRAPE_SECONDS, scraped - SCRAPE_SECONDS),
                                                        "rag_searches_per_second": mean("searches", scraped - 60, scraped)})
            ready_at += [now + self.START] * max(0, wanted - replicas)
            replicas = wanted
            history.append((now, replicas))
        return history

    def plateau(self):
        """What came in the middle of the step."""
        half = (self.recorded["low"] + self.recorded["high"]) / 2
        return statistics.median(sample["searches"] for sample in self.recorded["samples"] if sample["searches"] > half)

    def step_at(self):
        """When the recorded load had risen half way."""
        half = (self.recorded["low"] + self.recorded["high"]) / 2
        return next(sample["at"] for sample in self.recorded["samples"] if sample["searches"] > half)

    def test_its_metric_is_what_the_manual_makes(self):
        """The adapter's rule gives the metric's name, from a family of the server and a stage that it has."""
        with open(os.path.join(ROOT, "docs", "kubernetes.md"), encoding="utf-8") as file:
            rule = yaml.safe_load(re.search(r"```yaml\n(rules:\n.*?)```", file.read(), re.DOTALL).group(1))["rules"][0]
        self.assertEqual(rule["name"]["as"], self.hpa["spec"]["metrics"][1]["pods"]["metric"]["name"])
        series = 'rag_stage_duration_seconds_count{stage="search"'
        self.assertTrue(rule["seriesQuery"].startswith(series) and series in rule["metricsQuery"])
        with open(os.path.join(ROOT, "tests", "support", "record_load.py"), encoding="utf-8") as file:
            self.assertIn(series, file.read())  # it is what was recorded, from a server

    def test_recording_is_a_step(self):
        searches = [sample["searches"] for sample in self.recorded["samples"]]
        self.assertGreater(max(searches), 3 * self.recorded["low"])
        self.assertLess(searches[0], self.recorded["high"] / 3)
        self.assertLess(searches[-1], self.recorded["high"] / 3)

    def test_scales_up_within_a_minute(self):
        """Whenever it happens to look."""
        need = -(-self.plateau() * self.FACTOR // self.hpa_target())
        self.assertGreater(need, self.hpa["spec"]["minReplicas"])
        for offset in range(0, SYNC_SECONDS, 5):
            history = self.simulate(self.recorded["samples"], self.recorded["step_seconds"], offset)
            reached = next(now for now, replicas in history if now >= self.step_at() and replicas >= need)
            self.assertLessEqual(reached - self.step_at(), 60, offset)

    def hpa_target(self):
        return quantity(self.hpa["spec"]["metrics"][1]["pods"]["target"]["averageValue"])

    def test_never_flaps(self):
        """Up while it is needed, down once, and no change of direction besides."""
        for offset in range(0, SYNC_SECONDS, 5):
            history = self.simulate(self.recorded["samples"], self.recorded["step_seconds"], offset)
            moves = [b - a for (_, a), (_, b) in zip(history, history[1:]) if a != b]
            turns = sum(1 for a, b in zip(moves, moves[1:]) if (a > 0) != (b > 0))
            self.assertEqual(turns, 1, history)
            self.assertEqual(history[-1][1], self.hpa["spec"]["minReplicas"])

    def test_repeated_bursts_hold_it_up(self):
        """A burst every two minutes: the window of five is longer, so it stays up between them."""
        high = [s for s in self.recorded["samples"] if s["searches"] > self.recorded["high"] * 0.6][:12]
        low = self.recorded["samples"][1:13]
        history = self.simulate((low + high) * 6, self.recorded["step_seconds"])
        within = [replicas for now, replicas in history if 180 <= now <= 720]
        moves = [b - a for a, b in zip(within, within[1:]) if a != b]
        self.assertFalse([move for move in moves if move < 0], history)

    def test_never_below_what_the_budget_needs(self):
        least = self.budget["spec"]["minAvailable"] + 1
        for samples in (self.recorded["samples"], self.recorded["samples"][:6], list(reversed(self.recorded["samples"]))):
            history = self.simulate(samples, self.recorded["step_seconds"])
            self.assertGreaterEqual(min(replicas for _, replicas in history), least)
            self.assertLessEqual(max(replicas for _, replicas in history), self.hpa["spec"]["maxReplicas"])

    def test_simulation_can_flap(self):
        """Without the window the same bursts do make it flap: the simulation would show it."""
        hpa, self.__class__.hpa = self.hpa, json.loads(json.dumps(self.hpa))
        try:
            self.hpa["spec"]["behavior"]["scaleDown"] = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max",
                                                         "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}
            high = [s for s in self.recorded["samples"] if s["searches"] > self.recorded["high"] * 0.6][:12]
            history = self.simulate((self.recorded["samples"][1:13] + high) * 6, self.recorded["step_seconds"])
        finally:
            self.__class__.hpa = hpa
        moves = [b - a for (_, a), (_, b) in zip(history, history[1:]) if a != b]
        self.assertGreater(sum(1 for a, b in zip(moves, moves[1:]) if (a > 0) != (b > 0)), 3)


if __name__ == "__main__":
    unittest.main()
