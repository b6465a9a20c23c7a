/** What is known to both processes. */
export interface BusTask {
  readonly path: BusPathName;
  readonly totalBytes: number;
  readonly natsUrl: string;
}

export type BusPathName = 'tcp' | 'grpc' | 'grpc-window' | 'store';
