import assert from "node:assert/strict";
import { call } from "../support/calls.ts";
import { freePort } from "../support/free_port.ts";
import { bearer, endingIn, guarded, settings } from "../support/guarded.ts";
import { metricNames } from "../support/metrics.ts";
import { PROMETHEUS_MISSING, promtool } from "../support/prometheus.ts";
import { newChannel, post } from "../support/publishing.ts";
import { readUrl } from "../support/readers.ts";
import { WeirServer } from "../support/server.ts";
import { readSource } from "../support/source_files.ts";
import { SseClient } from "../support/sse_client.ts";
import { makeSigner } from "../support/tokens.ts";
import { until } from "../support/until.ts";

const ALERTS = "deploy/prometheus/alerts.yml";
const ALERT_TESTS = "tests/deploy/alerts.yml";
const CONFIG = "deploy/prometheus/prometheus.yml";
const DASHBOARD = "deploy/grafana/weir.json";

/** Rights that the load and the scrapes need. */
const RIGHTS = { publish: ["**"], subscribe: ["**"], metrics: true };

Deno.test({
  name: "promtool accepts the alerts, their unit tests and the configuration",
  ignore: PROMETHEUS_MISSING,
  async fn() {
    for (
      const args of [
        ["check", "rules", ALERTS],
        ["test", "rules", ALERT_TESTS],
        ["check", "config", "--syntax-only", CONFIG],
      ]
    ) {
      const { code, output } = await promtool(args);
      assert.equal(code, 0, output);
    }
  },
});

Deno.test("every alert has a unit test in which it fires, and one in which it does not", async () => {
  const tests = await readSource(ALERT_TESTS);
  for (const alert of (await alerts()).keys()) {
    assert.match(tests, new RegExp(`^  - name: ${alert} fires$`, "m"));
    assert.match(tests, new RegExp(`^  - name: ${alert} is quiet$`, "m"));
  }
});

Deno.test({
  name: "Prometheus has values for every query of the dashboard and of the alerts",
  ignore: PROMETHEUS_MISSING,
  async fn() {
    const signer = await makeSigner("EdDSA");
    const env = { ...settings(signer), WEIR_METRICS_TENANTS: "default" };
    await using first = guarded(await WeirServer.start({ env }), signer);
    await using second = await WeirServer.start({ env });
    const token = await first.token(RIGHTS, endingIn(3_600));
    await using _first = await startLoad(first.url, token);
    await using _second = await startLoad(second.url, token);
    await using prometheus = await Prometheus.start([first.server.port, second.port], token);
    const served = metricNames(
      (await call(first.url, "/metrics", { headers: bearer(token) })).text,
    );
    const used = new Set<string>();
    const queries = [...await dashboardQueries(), ...(await alerts()).values()];
    assert.ok(queries.length > 40, `only ${queries.length} queries`);
    for (const query of queries) {
      for (const name of namesIn(query)) {
        assert.ok(served.has(name), `${name} does not exist: ${query}`);
        used.add(name);
      }
    }
    assert.deepEqual([...served].filter((name) => !used.has(name)), [], "metrics without a query");
    for (const query of queries) {
      let values: readonly number[] = [];
      await until(`there are values for ${query}`, async () => {
        values = await prometheus.query(query);
        return values.length > 0 && !values.some(Number.isNaN);
      });
    }
    const states = await prometheus.rules();
    assert.equal(states.length, (await alerts()).size);
    assert.deepEqual(states.filter(({ health }) => health !== "ok"), []);
    assert.deepEqual(await prometheus.query('up{job="weir"}'), [1, 1]);
  },
});

/** Returns the expressions of all alerts by name, as comparisons that have a value at any time. */
async function alerts(): Promise<ReadonlyMap<string, string>> {
  const rules = (await readSource(ALERTS)).split(/^ +- alert: /m).slice(1);
  return new Map(rules.map((rule) => {
    const [name = ""] = rule.split("\n", 1);
    const [, folded, line = ""] = /^ +expr: (?:(>-\n(?: {10}.*\n)+)|(.*)$)/m.exec(rule) ?? [];
    const expression = folded?.slice(2).replace(/\s+/g, " ").trim() ?? line;
    const compared = expression.replace(/ (==|>) ([\d.]+)$/, " $1 bool $2");
    assert.notEqual(compared, expression, `${name} compares with a number`);
    return [name, compared] as const;
  }));
}

/** Returns the expressions of all panels, with values for the variables. */
async function dashboardQueries(): Promise<readonly string[]> {
  const { panels } = JSON.parse(await readSource(DASHBOARD)) as {
    readonly panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[];
  };
  return panels.flatMap(({ targets = [] }) =>
    targets.map(({ expr }) =>
      expr.replaceAll("$__rate_interval", "15s").replace(/\$(?:instance|job)\b/g, ".*")
    )
  );
}

/** Returns the metrics in an expression. */
function namesIn(query: string): readonly string[] {
  return [...query.matchAll(/\b(?:weir|process)_\w+/g)]
    .map(([name]) => /_seconds_|_events_/.test(name) ? name.replace(PART, "") : name);
}

/** What the series of a histogram have after its name. */
const PART = /_(?:bucket|sum|count)$/;

/** Publishes to one subscriber without end, and something that is refused after each event. */
async function startLoad(url: string, token: string): Promise<AsyncDisposable> {
  const channel = newChannel();
  const headers = bearer(token);
  const stream = await SseClient.open(readUrl(url, [channel]), headers);
  const stop = new AbortController();
  const publishing = (async () => {
    for (let i = 0; !stop.signal.aborted; i++) {
      for (const name of [channel, "$no"]) {
        const response = await post(url, name, `${i}`, headers);
        await response.body?.cancel();
      }
      await stream.next();
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await publishing;
      await stream[Symbol.asyncDispose]();
    },
  };
}

interface QueryAnswer {
  readonly status: string;
  readonly error?: string;
  readonly data: { readonly result: readonly { readonly value: readonly [number, string] }[] };
}

interface Rule {
  readonly name: string;
  readonly health: string;
}

/** A real Prometheus with the files of `deploy/`, which scrapes and evaluates every 250 ms. */
class Prometheus implements AsyncDisposable {
  private constructor(
    private readonly url: string,
    private readonly folder: string,
    private readonly process: Deno.ChildProcess,
  ) {}

  /** @param ports where Weir listens @param token the credential for scrapes */
  static async start(ports: readonly number[], token: string): Promise<Prometheus> {
    const folder = await Deno.makeTempDir({ prefix: "weir_prometheus_" });
    let config = await readSource(CONFIG);
    const replace = (from: RegExp, to: string) => {
      assert.match(config, from);
      config = config.replace(from, to);
    };
    replace(/scrape_interval: \S+/, "scrape_interval: 250ms");
    replace(/evaluation_interval: \S+/, "evaluation_interval: 250ms");
    replace(/credentials_file: \S+/, `credentials_file: ${folder}/key`);
    [8_001, 8_002].forEach((port, i) => replace(new RegExp(`:${port}$`, "m"), `:${ports[i]}`));
    await Deno.writeTextFile(`${folder}/key`, token);
    await Deno.writeTextFile(`${folder}/prometheus.yml`, config);
    await Deno.writeTextFile(`${folder}/alerts.yml`, await readSource(ALERTS));
    const address = `127.0.0.1:${freePort()}`;
    const process = new Deno.Command("prometheus", {
      args: [
        `--config.file=${folder}/prometheus.yml`,
        `--storage.tsdb.path=${folder}/data`,
        `--web.listen-address=${address}`,
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const prometheus = new Prometheus(`http://${address}`, folder, process);
    await until("Prometheus is ready", async () => {
      const response = await fetch(`${prometheus.url}/-/ready`).catch(() => undefined);
      await response?.body?.cancel();
      return response?.ok ?? false;
    });
    return prometheus;
  }

  /** Returns the values of all series that an expression has now. */
  async query(query: string): Promise<readonly number[]> {
    const { json } = await call(this.url, `/api/v1/query?${new URLSearchParams({ query })}`);
    const { status, error, data } = json as QueryAnswer;
    assert.equal(status, "success", `${query}: ${error}`);
    return data.result.map(({ value: [, text] }) => Number(text));
  }

  /** Returns the alerts that were evaluated. */
  async rules(): Promise<readonly Rule[]> {
    const { json } = await call(this.url, "/api/v1/rules");
    return json.data.groups.flatMap(({ rules }: { readonly rules: readonly Rule[] }) => rules);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill("SIGTERM");
    await this.process.status;
    await Deno.remove(this.folder, { recursive: true });
  }
}
