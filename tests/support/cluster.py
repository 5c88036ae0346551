"""As much of the API server of Kubernetes as `helm template --dry-run=server` asks of one when a chart looks something up:

    with Cluster({"deployments": [manifest, ...]}) as api:  # api.url

Its discovery knows the kinds below; objects are found by namespace and name, everything else is 404."""
import http.server
import json
import re
import threading

KINDS = {"deployments": ("Deployment", "deployment"), "statefulsets": ("StatefulSet", "statefulset")}
VERSION = {"major": "1", "minor": "33", "gitVersion": "v1.33.0"}
GROUP = {"name": "apps", "versions": [{"groupVersion": "apps/v1", "version": "v1"}],
         "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"}}


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
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [GROUP]}
        if path in ("/api/v1", "/apis/apps/v1"):
            kinds = KINDS if path == "/apis/apps/v1" else {}
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": path.split("/", 2)[2].removeprefix("api/"),
                    "resources": [{"name": name, "singularName": single, "namespaced": True, "kind": kind, "verbs": ["get", "list"]}
                                  for name, (kind, single) in kinds.items()]}
        found = re.fullmatch(r"/apis/apps/v1/namespaces/([^/]+)/([a-z]+)/([^/]+)", path)
        for entry in self.objects.get(found.group(2), ()) if found else ():
            if (entry["metadata"]["namespace"], entry["metadata"]["name"]) == (found.group(1), found.group(3)):
                return {"apiVersion": "apps/v1", "kind": KINDS[found.group(2)][0], **entry}
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
