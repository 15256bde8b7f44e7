/** Operations as hardware sees them. */

/** One matrix product C[M×N] = A[M×K] · B[K×N], as in a SCALE-Sim GEMM topology (`Layer,M,N,K`). */
export interface GemmLayer {
  readonly name: string;
  readonly m: number;
  readonly n: number;
  readonly k: number;
}
