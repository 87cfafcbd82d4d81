#!/usr/bin/env python3
"""Reads what Baton exported or packed by other people's own readers, and prints as JSON what they see.

readers.py tensorboard FOLDER | mlflow FOLDER | ro-crate FOLDER | webdataset OUTPUT (as a job: reads BATON_DATA_DIR)
"""

import json
import os
import sys
from urllib.parse import unquote


def tensorboard(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    events = EventAccumulator(folder, size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [[e.step, str(e.value), e.wall_time] for e in events.Scalars(tag)]
            for tag in events.Tags()["scalars"]}


def mlflow(folder):
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    from mlflow.tracking import MlflowClient
    client = MlflowClient(tracking_uri="file://" + folder)
    found = []
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id]):
            curves = {name: [[m.step, str(m.value), m.timestamp] for m in client.get_metric_history(run.info.run_id, name)]
                      for name in run.data.metrics}
            found.append({"experiment": experiment.name, "name": run.info.run_name, "status": run.info.status,
                          "params": dict(run.data.params), "tags": dict(run.data.tags), "metrics": curves,
                          "artifacts": sorted(a.path for a in client.list_artifacts(run.info.run_id))})
    return found


def ro_crate(folder):
    from rocrate.rocrate import ROCrate
    crate = ROCrate(folder)
    known = {entity.id for entity in crate.get_entities()}
    dangling = []
    with open(os.path.join(folder, "ro-crate-metadata.json")) as file:
        graph = json.load(file)["@graph"]
    for entity in graph:
        for values in entity.values():
            for value in values if isinstance(values, list) else [values]:
                # What the context itself refers to is on the web.
                if isinstance(value, dict) and value["@id"] not in known and not value["@id"].startswith("http"):
                    dangling.append(value["@id"])
    files = {entity.id: os.path.getsize(os.path.join(folder, unquote(entity.id))) == int(entity["contentSize"])
             for entity in crate.data_entities if entity.type == "File"}
    run = crate.get("#run")
    return {"name": crate.root_dataset["name"], "dangling": dangling, "files": files,
            "status": run["actionStatus"] if isinstance(run["actionStatus"], str) else run["actionStatus"].id,
            "results": [result.id for result in run["result"]], "objects": [thing.id for thing in run["object"]],
            "instrument": run["instrument"].id}


def samples(output):
    import glob
    import torch
    import webdataset
    shards = sorted(glob.glob(os.path.join(os.environ["BATON_DATA_DIR"], "*.tar")))
    data = webdataset.WebDataset(shards, shardshuffle=False).decode().to_tuple("__key__", "txt", "cls")
    loader = torch.utils.data.DataLoader(data, batch_size=None, num_workers=0)
    found = {key: [text, int(label)] for key, text, label in loader}
    with open(output + ".new", "w") as file:
        json.dump(found, file)
    os.rename(output + ".new", output)


if __name__ == "__main__":
    kind, place = sys.argv[1:]
    if kind == "webdataset":
        samples(place)
    else:
        print(json.dumps({"tensorboard": tensorboard, "mlflow": mlflow, "ro-crate": ro_crate}[kind](place)))
