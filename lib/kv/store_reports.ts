/** Receives what the operator should know about the store. */
export interface StoreReports {
  /** Nothing is stored from now on. */
  onTrouble?(message: string): void;
  /** Events are stored again. */
  onRecovered?(message: string): void;
}
