/** The pages that Weir can serve, in the order of the navigation. */
export const PAGE_NAMES = ["console", "chat", "dashboard", "lab"] as const;

export type PageName = typeof PAGE_NAMES[number];
