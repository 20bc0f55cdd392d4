import type { JSX } from "preact";

interface TabsProps<Name extends string> {
  readonly label: string;
  /** The id of the element that shows the selected tab. */
  readonly panel: string;
  readonly tabs: readonly (readonly [Name, string])[];
  readonly chosen: Name;
  readonly onChoose: (name: Name) => void;
}

/** Tabs as in WAI-ARIA: the Tab key stops at one of them, arrow keys move between them. */
export function Tabs<Name extends string>(
  { label, panel, tabs, chosen, onChoose }: TabsProps<Name>,
): JSX.Element {
  function press(event: KeyboardEvent, list: HTMLElement): void {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (by === 0) return;
    event.preventDefault();
    const at = tabs.findIndex(([name]) => name === chosen);
    const to = (at + by + tabs.length) % tabs.length;
    const [name] = tabs[to] ?? [];
    if (name === undefined) return;
    onChoose(name);
    const button = list.children[to];
    if (button instanceof HTMLElement) button.focus();
  }

  return (
    <div
      class="tabs"
      role="tablist"
      aria-label={label}
      onKeyDown={(event) => press(event, event.currentTarget)}
    >
      {tabs.map(([name, title]) => (
        <button
          key={name}
          id={`tab-${name}`}
          type="button"
          role="tab"
          aria-selected={name === chosen}
          aria-controls={panel}
          tabIndex={name === chosen ? 0 : -1}
          onClick={() => onChoose(name)}
        >
          {title}
        </button>
      ))}
    </div>
  );
}
