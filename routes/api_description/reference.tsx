import type { ComponentChildren, JSX } from "preact";
import { TITLES } from "../problem.ts";
import { clientMessageList, serverMessageList, streamMessageList } from "./asyncapi.ts";
import { REQUEST_HEADERS } from "./headers.ts";
import type { Meaning } from "./meaning.ts";
import { byStatus, openApiPath, schemaOf, TAGS } from "./openapi.ts";
import { EVERYWHERE } from "./problem_groups.ts";
import type { Answer, RouteDescription, SchemaName, Tag } from "./route_description.ts";
import { ROUTES } from "./routes.ts";
import { schemas } from "./schemas.ts";

interface Route {
  readonly path: string;
  readonly method: string;
  readonly description: RouteDescription;
}

interface ReferenceProps {
  /** The origin under which the client reaches the server. */
  readonly origin: string;
  /** Whether requests need no credential. */
  readonly isOpen: boolean;
}

const ALL: readonly Route[] = Object.entries(ROUTES).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, description]) => ({ path, method, description }))
);

/** Renders the reference of routes and messages, as `/openapi.json` and `/asyncapi.json` have them. */
export function ApiReference({ origin, isOpen }: ReferenceProps): JSX.Element {
  const tags = Object.keys(TAGS) as Tag[];
  return (
    <>
      <h1 id="api">API reference</h1>
      <p>
        The same for programs: <a href="/openapi.json">OpenAPI</a> for routes,{" "}
        <a href="/asyncapi.json">AsyncAPI</a> for messages. What everything means is in{" "}
        <a href="/docs/protocol.md">the protocol</a>.
        {!isOpen && (
          <>
            {" "}Set <code>TOKEN</code> to a token or an API key.
          </>
        )}
      </p>
      <ul>
        {tags.map((tag) => (
          <li>
            <a href={`#tag-${tag.toLowerCase()}`}>{tag}</a>: {TAGS[tag]}
          </li>
        ))}
        <li>
          <a href="#messages">Messages</a>: WebSockets and streams.
        </li>
      </ul>
      {tags.map((tag) => (
        <>
          <h2 id={`tag-${tag.toLowerCase()}`}>{tag}</h2>
          <p>{TAGS[tag]}</p>
          {ALL.filter(({ description }) => description.tag === tag).map((route) => (
            <Operation route={route} origin={origin} isOpen={isOpen} />
          ))}
        </>
      ))}
      <Messages />
    </>
  );
}

interface OperationProps extends ReferenceProps {
  readonly route: Route;
}

function Operation({ route, ...server }: OperationProps): JSX.Element {
  const { path, method, description } = route;
  const { id, summary, text, body, answers, problems } = description;
  const parameters = parametersOf(description);
  const [content] = Object.values(body ?? {});
  const answer = Object.values(answers).find(({ json }) => json !== undefined);
  const example = answer === undefined ? undefined : exampleOf(answer);
  return (
    <section aria-labelledby={id}>
      <h3 id={id}>
        <code>{method} {openApiPath(path)}</code>
      </h3>
      <p>
        {summary}. {text !== undefined && <Inline text={text} />}
      </p>
      <Code text={curlOf(route, server)} />
      {parameters.length > 0 && (
        <table tabindex={0}>
          <thead>
            <tr>
              <th scope="col">parameter</th>
              <th scope="col">in</th>
              <th scope="col">meaning</th>
            </tr>
          </thead>
          <tbody>
            {parameters.map(([name, place, meaning]) => (
              <tr>
                <td>
                  <code>{name}</code>
                </td>
                <td>{place}</td>
                <td>
                  <Inline text={meaning.text} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {content !== undefined && "members" in content && (
        <>
          <p>The body is JSON:</p>
          <MeaningList members={content.members} />
        </>
      )}
      <table tabindex={0}>
        <thead>
          <tr>
            <th scope="col">status</th>
            <th scope="col">answer</th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(answers).map(([status, { text }]) => (
            <tr>
              <td>{status}</td>
              <td>
                <Inline text={text} />
              </td>
            </tr>
          ))}
          {[...byStatus([...EVERYWHERE, ...problems])].sort(([a], [b]) => a - b).map(
            ([status, codes]) => (
              <tr>
                <td>{status}</td>
                <td>
                  {TITLES[status]}: {codes.map((code, i) => (
                    <>
                      {i > 0 && ", "}
                      <code>{code}</code>
                    </>
                  ))}
                </td>
              </tr>
            ),
          )}
        </tbody>
      </table>
      {example !== undefined && <Code text={JSON.stringify(example, null, 2)} />}
    </section>
  );
}

function Messages(): JSX.Element {
  const groups = [
    ["From the client, over a WebSocket", clientMessageList()],
    ["From the server, over a WebSocket", serverMessageList()],
    ["On a stream of server-sent events", streamMessageList()],
  ] as const;
  return (
    <>
      <h2 id="messages">Messages</h2>
      {groups.map(([title, messages]) => (
        <>
          <h3>{title}</h3>
          {messages.map(({ id, text, payload, example }) => (
            <section aria-labelledby={`message-${id}`}>
              <h4 id={`message-${id}`}>
                <code>{id.replace(/Request$/, "")}</code>
              </h4>
              <p>
                <Inline text={text} />
              </p>
              <MeaningList members={meaningsOf(payload)} />
              <Code text={JSON.stringify(example)} />
            </section>
          ))}
        </>
      ))}
    </>
  );
}

function MeaningList(
  { members }: { readonly members: Readonly<Record<string, Meaning>> },
): JSX.Element {
  return (
    <ul>
      {Object.entries(members).map(([name, { text }]) => (
        <li>
          <code>{name}</code>
          {text !== "" && (
            <>
              : <Inline text={text} />
            </>
          )}
        </li>
      ))}
    </ul>
  );
}

function Code({ text }: { readonly text: string }): JSX.Element {
  return (
    <pre tabindex={0}>
      <code>{text}</code>
    </pre>
  );
}

/** Renders the code and the links of a line of Markdown. */
function Inline({ text }: { readonly text: string }): JSX.Element {
  const parts: ComponentChildren[] = [];
  let end = 0;
  for (const match of text.matchAll(/\[`?([^\]`]+)`?\]\(([^)]+)\)|`([^`]+)`/g)) {
    const [all, label, href, code] = match;
    parts.push(text.slice(end, match.index));
    parts.push(href === undefined ? <code>{code}</code> : <a href={href}>{label}</a>);
    end = match.index + all.length;
  }
  return <>{parts}{text.slice(end)}</>;
}

function parametersOf(
  { path = {}, query, lists = {}, headers = [] }: RouteDescription,
): readonly (readonly [name: string, place: string, meaning: Meaning])[] {
  return [
    ...Object.entries(path).map(([name, meaning]) => [name, "path", meaning] as const),
    ...Object.entries(lists).map(([name, meaning]) => [name, "query", meaning] as const),
    ...Object.entries(query?.members ?? {}).map(([name, meaning]) =>
      [name, "query", meaning] as const
    ),
    ...headers.map((name) => [name, "header", REQUEST_HEADERS[name]] as const),
  ];
}

function meaningsOf(payload: Readonly<Record<string, unknown>>): Record<string, Meaning> {
  const { properties = {} } = payload as {
    readonly properties?: Readonly<Record<string, { readonly description?: string }>>;
  };
  return Object.fromEntries(
    Object.entries(properties).map(([name, { description = "" }]) => [name, { text: description }]),
  );
}

function exampleOf({ json }: Answer): unknown {
  const names = (typeof json === "string" ? [json] : json ?? []) as readonly SchemaName[];
  const [name] = names;
  const meta = name === undefined ? undefined : schemas[name].meta();
  return (meta as { readonly examples?: readonly unknown[] } | undefined)?.examples?.[0];
}

/** Returns a command that calls the route with its examples. */
export function curlOf(
  { path, method, description }: Route,
  { origin, isOpen }: ReferenceProps,
): string {
  const { path: names = {}, lists = {}, query, body, needsCredential, tag, id } = description;
  let url = path.replace(/\{[^}]*\}/, "");
  for (const [name, { example }] of Object.entries(names)) {
    url = url.replace(`:${name}`, encodeURIComponent(String(example)));
  }
  const params = new URLSearchParams();
  for (const [name, { example }] of Object.entries(lists)) params.set(name, String(example));
  const { required = [] } = query === undefined ? {} : schemaOf(query) as {
    readonly required?: readonly string[];
  };
  for (const name of required) params.set(name, String(query?.members[name]?.example));
  const search = params.size === 0 ? "" : `?${params}`;
  const [[type, content] = []] = Object.entries(body ?? {});
  const parts = ["curl"];
  if (method !== "GET" && !(method === "POST" && content !== undefined)) parts.push(`-X ${method}`);
  if (needsCredential && !isOpen) parts.push(`-H "Authorization: Bearer $TOKEN"`);
  if (content !== undefined) {
    parts.push(`-H 'Content-Type: ${type}'`, `-d '${JSON.stringify(content.example)}'`);
  }
  if (id === "openSocket") {
    return `npx wscat -s weir.v1 -c '${origin.replace(/^http/, "ws")}${url}'`;
  }
  if (tag === "Pages") parts.push("-H 'Accept: text/html'");
  return [...parts, `'${origin}${url}${search}'`].join(" ");
}
