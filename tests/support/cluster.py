"""As much of the API server of Kubernetes as `helm template --dry-run=server` asks of one when a chart looks something up, and
`helm install --dry-run=client --disable-openapi-validation` before it shows its notes:

    with Cluster({"deployments": [manifest, ...]}) as api:  # api.url

Its discovery knows the kinds below; objects are found by namespace and name, everything else is 404."""
import http.server
import json
import re
import threading

KINDS = {
    "v1": ("Service", "ConfigMap", "Secret", "ServiceAccount", "PersistentVolumeClaim"),
    "apps/v1": ("Deployment", "StatefulSet"),
    "batch/v1": ("CronJob",),
    "networking.k8s.io/v1": ("Ingress", "NetworkPolicy"),
    "policy/v1": ("PodDisruptionBudget",),
    "autoscaling/v2": ("HorizontalPodAutoscaler",),
    "monitoring.coreos.com/v1": ("ServiceMonitor", "PrometheusRule"),
}
VERSION = {"major": "1", "minor": "33", "gitVersion": "v1.33.0"}


def plural(kind):
    name = kind.lower()
    return name[:-1] + "ies" if name.endswith("y") else name + ("es" if name.endswith("s") else "s")


def group(version):
    only = {"groupVersion": version, "version": version.split("/")[1]}
    return {"name": version.split("/")[0], "versions": [only], "preferredVersion": only}


class Cluster:
    def __init__(self, objects):
        self.objects = objects

    def answer(self, path):
        path = path.split("?")[0]
        if path == "/version":
            return VERSION
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group(version) for version in KINDS if "/" in version]}
        version = path.removeprefix("/apis/").removeprefix("/api/")
        if version in KINDS:
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version,
                    "resources": [{"name": plural(kind), "singularName": kind.lower(), "namespaced": True, "kind": kind,
                                   "verbs": ["get", "list"]} for kind in KINDS[version]]}
        found = re.fullmatch(r"/apis/apps/v1/namespaces/([^/]+)/([a-z]+)/([^/]+)", path)
        for entry in self.objects.get(found.group(2), ()) if found else ():
            if (entry["metadata"]["namespace"], entry["metadata"]["name"]) == (found.group(1), found.group(3)):
                kind = next(kind for kind in KINDS["apps/v1"] if plural(kind) == found.group(2))
                return {"apiVersion": "apps/v1", "kind": kind, **entry}
        return None

    def __enter__(self):
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802
                found = owner.answer(self.path)
                body = json.dumps(found or {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}).encode()
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
