"""The Kubernetes manifest keeps the API's schemas, and our rules."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.docker.files import KUBERAY, ROOT, manifests, module, pod_templates

TEMPLATES = pod_templates()
(RAY,) = manifests("RayCluster")
HEADER = KUBERAY.read_text().partition("---")[0]


def check(documents: list[dict[str, Any]], folder: Path) -> tuple[int, str]:
    file = folder / "manifest.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    return module("kubernetes_validate", "--strict", str(file))


def as_documents(templates: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Pod templates as documents of their own, which have a schema wherever they come from."""
    return [
        {
            "apiVersion": "v1",
            "kind": "PodTemplate",
            "metadata": {"name": name},
            "template": template,
        }
        for name, template in templates.items()
    ]


def test_it_keeps_the_schemas(tmp_path: Path) -> None:
    known = [document for document in manifests() if document["kind"] != "RayCluster"]
    documents = [*known, *as_documents(TEMPLATES)]
    code, text = check(documents, tmp_path)
    assert code == 0, text
    assert text.count("INFO") == len(documents) == len(known) + 6


def test_the_schemas_would_refuse_a_slip(tmp_path: Path) -> None:
    template = yaml.safe_load(yaml.safe_dump(TEMPLATES["ray-gpu"]))
    template["spec"]["containers"][0]["imagee"] = "x"
    code, text = check(as_documents({"slip": template}), tmp_path)
    assert code == 1
    assert "imagee" in text


def test_it_has_every_part() -> None:
    found = sorted((d["kind"], d["metadata"]["name"]) for d in manifests())
    assert found == [
        ("ConfigMap", "sweep-settings"),
        ("Deployment", "sweep-api"),
        ("Deployment", "sweep-dispatcher"),
        ("Job", "sweep-migrate"),
        ("PersistentVolumeClaim", "sweep-checkpoints"),
        ("PodDisruptionBudget", "sweep-api"),
        ("RayCluster", "sweep"),
        ("Service", "sweep-api"),
    ]
    assert all(d["spec"]["replicas"] >= 2 for d in manifests("Deployment"))


@pytest.mark.parametrize("name", TEMPLATES)
def test_pods_run_without_rights_and_without_the_variables_of_services(name: str) -> None:
    """Kubernetes' own variables, such as SWEEP_API_PORT, would be read as settings."""
    spec = TEMPLATES[name]["spec"]
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    for container in spec["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in container["resources"]["limits"]
        assert re.fullmatch(
            r"registry\.example\.com/sweep:\d+\.\d+\.\d+-(cpu|cuda)", container["image"]
        )
        if name != "sweep-migrate":
            assert {"readinessProbe", "livenessProbe"} <= set(container)


def test_the_ray_cluster_is_locked_scales_and_is_of_our_ray() -> None:
    spec = RAY["spec"]
    assert f"ray=={spec['rayVersion']}\n" in (ROOT / "constraints.txt").read_text()
    assert spec["authOptions"] == {"mode": "token", "secretName": "sweep-ray"}
    assert spec["enableInTreeAutoscaling"] is True
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    groups = {group["groupName"]: group for group in spec["workerGroupSpecs"]}
    for group in groups.values():
        assert 0 <= group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        assert group["minReplicas"] < group["maxReplicas"]
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
    (gpu,) = groups["gpu"]["template"]["spec"]["containers"]
    assert gpu["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert gpu["image"].endswith("-cuda")


def test_secrets_are_named_and_never_given() -> None:
    assert not manifests("Secret")
    text = KUBERAY.read_text()
    named = set(re.findall(r"secretKeyRef: \{name: ([a-z-]+), key: ([a-z_]+)\}", text))
    made = set(re.findall(r"generic ([a-z-]+) \\\n#\s+--from-literal=([a-z_]+)=", HEADER))
    assert named == made == {("sweep-database", "url"), ("sweep-ray", "auth_token")}


def test_names_lead_to_what_they_name() -> None:
    labels = {name: template["metadata"]["labels"] for name, template in TEMPLATES.items()}
    selectors = [d["spec"]["selector"] for d in manifests("Service")]
    selectors += [
        d["spec"]["selector"]["matchLabels"]
        for kind in ("Deployment", "PodDisruptionBudget")
        for d in manifests(kind)
    ]
    for selector in selectors:
        assert [s for s in labels.values() if selector.items() <= s.items()]
    (claim,) = manifests("PersistentVolumeClaim")
    (settings,) = manifests("ConfigMap")
    text = KUBERAY.read_text()
    assert set(re.findall(r"claimName: ([a-z-]+)", text)) == {claim["metadata"]["name"]}
    assert set(re.findall(r"configMapRef: \{name: ([a-z-]+)", text)) == {
        settings["metadata"]["name"]
    }


@pytest.mark.parametrize("name", ["sweep-api", "ray-head", "ray-cpu", "ray-gpu"])
def test_saved_states_are_within_reach_of_those_who_write_and_remove_them(name: str) -> None:
    (settings,) = manifests("ConfigMap")
    (container,) = TEMPLATES[name]["spec"]["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts["checkpoints"] == settings["data"]["SWEEP_CHECKPOINT_ROOT"]
    assert {"secretRef": {"name": "sweep-storage", "optional": True}} in container["envFrom"]


def test_urls_are_those_of_the_services() -> None:
    (settings,) = manifests("ConfigMap")
    (api,) = manifests("Service")
    url = f"http://{api['metadata']['name']}:{api['spec']['ports'][0]['port']}"
    assert settings["data"]["SWEEP_PUBLIC_URL"] == url
    (container,) = TEMPLATES["sweep-dispatcher"]["spec"]["containers"]
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    jobs = f"http://{RAY['metadata']['name']}-head-svc:8265"  # the name that KubeRay gives
    assert environment["SWEEP_RAY_JOBS_URL"] == jobs
