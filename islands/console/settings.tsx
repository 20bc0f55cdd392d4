import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { formatBytes, formatClock, formatCount, formatDate, formatDuration } from "../format.ts";
import type { FormOutcome } from "./publishing.ts";
import { type ChannelFigures, channelPath, request, type RetentionFigures } from "./requests.ts";

interface SettingsProps {
  readonly channel: string;
  /** Whether the visitor may see the settings. */
  readonly isVisible: boolean;
  /** Whether the visitor may change the settings. */
  readonly isAllowed: boolean;
  readonly onDelete: () => void;
}

/** Shows how much the channel stores, sets its retention and deletes it. */
export function Settings({ channel, isVisible, isAllowed, onDelete }: SettingsProps): JSX.Element {
  const [figures, setFigures] = useState<ChannelFigures>();
  const [problem, setProblem] = useState<string>();
  const [isRead, setRead] = useState(false);
  useEffect(() => {
    if (!isVisible) return;
    let isLeft = false;
    setRead(false);
    void request<ChannelFigures>("GET", channelPath(channel)).then((answer) => {
      if (isLeft) return;
      setFigures(answer.ok ? answer.body : undefined);
      setProblem(answer.ok || answer.status === 404 ? undefined : answer.detail);
      setRead(true);
    });
    return () => {
      isLeft = true;
    };
  }, [channel, isVisible]);
  return (
    <div class="scrolled settings">
      {problem !== undefined && <p class="card problem" role="alert">{problem}</p>}
      {figures !== undefined && <Figures figures={figures} />}
      {isAllowed
        ? isRead && (
          <>
            <Retention
              channel={channel}
              figures={figures}
              onChange={setFigures}
            />
            {figures !== undefined && <Deletion channel={channel} onDelete={onDelete} />}
          </>
        )
        : (
          <p class="empty hint">
            You don't have permission to change the settings of{" "}
            <code>{channel}</code>. It requires the right <code>manage</code>.
          </p>
        )}
    </div>
  );
}

function Figures({ figures }: { readonly figures: ChannelFigures }): JSX.Element {
  const { created, changed, events, bytes, first, last } = figures;
  return (
    <section aria-label="Figures">
      <dl class="figures">
        <div>
          <dt>Events kept</dt>
          <dd>{formatCount(events)}</dd>
        </div>
        <div>
          <dt>Data kept</dt>
          <dd>{formatBytes(bytes)}</dd>
        </div>
        <div>
          <dt>Created, UTC</dt>
          <dd>{timeText(created)}</dd>
        </div>
        <div>
          <dt>Last event, UTC</dt>
          <dd>{timeText(changed)}</dd>
        </div>
        <div>
          <dt>First offset</dt>
          <dd>
            <code>{first ?? "none"}</code>
          </dd>
        </div>
        <div>
          <dt>Last offset</dt>
          <dd>
            <code>{last}</code>
          </dd>
        </div>
      </dl>
    </section>
  );
}

interface RetentionProps {
  readonly channel: string;
  readonly figures: ChannelFigures | undefined;
  readonly onChange: (figures: ChannelFigures) => void;
}

function Retention({ channel, figures, onChange }: RetentionProps): JSX.Element {
  const [outcome, setOutcome] = useState<FormOutcome>();
  const kept = figures?.retention;

  async function save(retention: Readonly<Record<string, number>>): Promise<void> {
    const answer = await request<ChannelFigures>("PUT", channelPath(channel), {
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ retention }),
    });
    if (answer.ok) onChange(answer.body);
    setOutcome(
      answer.ok ? { isError: false, text: "Saved." } : { isError: true, text: answer.detail },
    );
  }

  return (
    <form
      class="stack"
      aria-label="Retention"
      onInput={() => setOutcome(undefined)}
      onSubmit={(event) => {
        event.preventDefault();
        const fields = [...new FormData(event.currentTarget)];
        void save(
          Object.fromEntries(
            fields.flatMap(([name, value]) => value === "" ? [] : [[name, Number(value)]]),
          ),
        );
      }}
    >
      <h2>Retention</h2>
      <p class="outcome">
        The oldest events are dropped first. Leave empty for the server default.
      </p>
      {/* The key resets the fields when the stored values change. */}
      <Limits key={JSON.stringify(kept)} retention={kept} />
      <div class="row">
        <button type="submit">{figures === undefined ? "Create channel" : "Save"}</button>
        {figures !== undefined && (
          <button type="button" class="quiet" onClick={() => void save({})}>
            Reset to default
          </button>
        )}
        <span class={outcome?.isError ? "outcome is-error" : "outcome"} role="status">
          {outcome?.text}
        </span>
      </div>
    </form>
  );
}

function Limits({ retention }: { readonly retention: RetentionFigures | undefined }): JSX.Element {
  return (
    <div class="triples">
      <Limit
        name="age"
        label="Age, in seconds"
        value={retention?.age}
        format={(age) => formatDuration(age * 1_000)}
      />
      <Limit name="events" label="Events" value={retention?.events} format={formatCount} />
      <Limit name="bytes" label="Bytes" value={retention?.bytes} format={formatBytes} />
    </div>
  );
}

interface LimitProps {
  readonly name: string;
  readonly label: string;
  readonly value: number | undefined;
  readonly format: (value: number) => string;
}

function Limit({ name, label, value, format }: LimitProps): JSX.Element {
  const [typed, setTyped] = useState(value);
  return (
    <label class="field">
      <span>{label}</span>
      <input
        name={name}
        type="number"
        min={1}
        step={1}
        defaultValue={value}
        onInput={({ currentTarget }) =>
          setTyped(currentTarget.value === "" ? undefined : currentTarget.valueAsNumber)}
      />
      <small>{typed === undefined || Number.isNaN(typed) ? "server default" : format(typed)}</small>
    </label>
  );
}

interface DeletionProps {
  readonly channel: string;
  readonly onDelete: () => void;
}

function Deletion({ channel, onDelete }: DeletionProps): JSX.Element {
  const [typed, setTyped] = useState("");
  const [failure, setFailure] = useState<string>();

  async function remove(): Promise<void> {
    const answer = await request("DELETE", channelPath(channel));
    if (answer.ok) return onDelete();
    setFailure(answer.detail);
  }

  return (
    <form
      class="stack deletion"
      aria-label="Delete channel"
      onSubmit={(event) => {
        event.preventDefault();
        if (typed === channel) void remove();
      }}
    >
      <h2>Delete channel</h2>
      <p class="outcome">
        All events are deleted immediately, for everyone. Readers get a gap.
      </p>
      <label class="field">
        <span>Type the channel name to confirm</span>
        <input
          value={typed}
          autocomplete="off"
          spellcheck={false}
          placeholder={channel}
          onInput={({ currentTarget }) => setTyped(currentTarget.value)}
        />
      </label>
      <div class="row">
        <button type="submit" class="danger" disabled={typed !== channel}>Delete</button>
        {failure !== undefined && <span class="outcome is-error" role="alert">{failure}</span>}
      </div>
    </form>
  );
}

function timeText(time: string): string {
  return `${formatDate(time)} ${formatClock(time).slice(0, 8)}`;
}
