/** What was dropped. Browsers list a folder as a file that cannot be read. */
interface DroppedFiles {
  readonly files: readonly File[];
  /** The number of folders, which are not among the files. */
  readonly folders: number;
}

/** Tells whether something that is dragged has files, in contrast to text or a link. */
export function hasFiles(data: Pick<DataTransfer, "types"> | null): boolean {
  return data?.types.includes("Files") ?? false;
}

export function filesOf(data: Pick<DataTransfer, "items"> | null): DroppedFiles {
  const files: File[] = [];
  let folders = 0;
  for (const item of data?.items ?? []) {
    const file = item.kind === "file" ? item.getAsFile() : null;
    if (item.webkitGetAsEntry()?.isDirectory) folders++;
    else if (file !== null) files.push(file);
  }
  return { files, folders };
}
