import assert from "node:assert/strict";
import { Deployment } from "kubernetes-models/apps/v1";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1";
import { ConfigMap, Service } from "kubernetes-models/v1";
import { parseAllDocuments } from "yaml";
import { parseConfig } from "../../lib/config.ts";
import { readSource } from "../support/source_files.ts";

/** Seconds after the drain in which a server closes its store, at most. */
const CLOSE_S = 4.5;

// deno-lint-ignore no-explicit-any -- the schemas of Kubernetes check it
type Manifest = any;

const manifests: readonly Manifest[] = parseAllDocuments(
  await readSource("deploy/kubernetes/weir.yaml"),
).map((document) => document.toJS());

function manifestOf(kind: string): Manifest {
  return manifests.find((manifest) => manifest.kind === kind);
}

Deno.test("the manifests fit the schemas of Kubernetes", () => {
  assert.deepEqual(manifests.map(({ kind }) => kind), [
    "ConfigMap",
    "Deployment",
    "PodDisruptionBudget",
    "Service",
  ]);
  new ConfigMap(manifestOf("ConfigMap")).validate();
  new Deployment(manifestOf("Deployment")).validate();
  new PodDisruptionBudget(manifestOf("PodDisruptionBudget")).validate();
  new Service(manifestOf("Service")).validate();
  const wrong = structuredClone(manifestOf("Deployment"));
  wrong.spec.template.spec.terminationGracePeriodSeconds = "long";
  assert.throws(() => new Deployment(wrong).validate(), /terminationGracePeriodSeconds/);
});

Deno.test("the settings of the manifests are settings of Weir", () => {
  const { kv, isOpen } = parseConfig(manifestOf("ConfigMap").data);
  assert.deepEqual({ kv, isOpen }, { kv: "http://denokv:4512", isOpen: false });
});

Deno.test("each pod has metrics where Prometheus looks for them, and the Service does not", () => {
  const { metrics } = parseConfig(manifestOf("ConfigMap").data);
  assert.ok(typeof metrics === "object");
  const { metadata, spec: { containers: [{ ports }] } } = manifestOf("Deployment").spec.template;
  assert.equal(metadata.annotations["prometheus.io/port"], String(metrics.port));
  assert.ok(ports.some((port: Manifest) => port.containerPort === metrics.port));
  const exposed = manifestOf("Service").spec.ports.map((port: Manifest) => port.targetPort);
  assert.deepEqual(exposed, ["http"]);
});

Deno.test("Kubernetes replaces one server after the other, and waits for the drain", () => {
  const { spec } = manifestOf("Deployment");
  assert.deepEqual(spec.strategy.rollingUpdate, { maxSurge: 1, maxUnavailable: 0 });
  const pod = spec.template.spec;
  const [container] = pod.containers;
  const waits = Number(container.lifecycle.preStop.exec.command[1]);
  const drain = parseConfig(manifestOf("ConfigMap").data).drainMs / 1_000;
  assert.ok(pod.terminationGracePeriodSeconds > waits + drain + CLOSE_S);
  assert.equal(container.livenessProbe.httpGet.path, "/healthz");
  assert.equal(container.readinessProbe.httpGet.path, "/readyz");
  for (const { selector } of [spec, manifestOf("PodDisruptionBudget").spec]) {
    assert.deepEqual(selector.matchLabels, spec.template.metadata.labels);
  }
  assert.deepEqual(manifestOf("Service").spec.selector, spec.template.metadata.labels);
});
