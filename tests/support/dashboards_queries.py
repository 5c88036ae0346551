"""The expressions of deploy/grafana's panels, for tests.

    panel("Searches", "answers", 1)     the second query of that panel; of the first of that title
"""
import json
import os

GRAFANA = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "deploy", "grafana")


def panel(title, dashboard, query=0):
    with open(os.path.join(GRAFANA, f"tars-{dashboard}.json"), encoding="utf-8") as file:
        panels = json.load(file)["panels"]
    return next(one for one in panels if one["title"] == title and one.get("targets"))["targets"][query]["expr"]
