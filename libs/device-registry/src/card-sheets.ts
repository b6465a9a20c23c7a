/** Figures of a card from its maker's papers; all rates are peaks. */
export interface CardSheet {
  readonly product: string;
  /** What it is sold with. */
  readonly memoryBytes: number;
  /** What its driver reports: less where error correction or the driver takes a part. */
  readonly reportedBytes: number;
  /** Dense products of bfloat16, summed in float32. */
  readonly flopsPerSecond: number;
  /** Without tensor cores. */
  readonly float64FlopsPerSecond: number;
  /** Of its memory. */
  readonly bytesPerSecond: number;
  /** From the host to it, one way. */
  readonly linkBytesPerSecond: number;
}

/** 16 lanes, one way (PCI Express Base Specification 4.0 and 5.0, 128b/130b encoding). */
const pcie4 = 31.5e9;
const pcie5 = 63e9;

const gib = 2 ** 30;
const mib = 2 ** 20;

/**
 * Sources: NVIDIA Ampere GA102 whitepaper 2.1 (RTX 3090), Ada GPU architecture whitepaper 2.1 (RTX
 * 4090), RTX Blackwell GPU architecture whitepaper 1.1 (RTX 5090), the data sheets of L4, A100 80GB
 * (SXM) and H100 (SXM), whose rates with sparsity are halved; reported bytes: `nvidia-smi`.
 */
export const cardSheets = Object.freeze({
  rtx3090: {
    product: 'NVIDIA GeForce RTX 3090',
    memoryBytes: 24 * gib,
    reportedBytes: 24_576 * mib,
    flopsPerSecond: 71e12,
    float64FlopsPerSecond: 0.556e12,
    bytesPerSecond: 936e9,
    linkBytesPerSecond: pcie4,
  },
  rtx4090: {
    product: 'NVIDIA GeForce RTX 4090',
    memoryBytes: 24 * gib,
    reportedBytes: 24_564 * mib,
    flopsPerSecond: 165.2e12,
    float64FlopsPerSecond: 1.29e12,
    bytesPerSecond: 1008e9,
    linkBytesPerSecond: pcie4,
  },
  rtx5090: {
    product: 'NVIDIA GeForce RTX 5090',
    memoryBytes: 32 * gib,
    reportedBytes: 32_607 * mib,
    flopsPerSecond: 209.5e12,
    float64FlopsPerSecond: 1.64e12,
    bytesPerSecond: 1792e9,
    linkBytesPerSecond: pcie5,
  },
  l4: {
    product: 'NVIDIA L4',
    memoryBytes: 24 * gib,
    reportedBytes: 23_034 * mib,
    flopsPerSecond: 121e12,
    float64FlopsPerSecond: 0.473e12,
    bytesPerSecond: 300e9,
    linkBytesPerSecond: pcie4,
  },
  a100: {
    product: 'NVIDIA A100 80GB (SXM)',
    memoryBytes: 80 * gib,
    reportedBytes: 81_920 * mib,
    flopsPerSecond: 312e12,
    float64FlopsPerSecond: 9.7e12,
    bytesPerSecond: 2039e9,
    linkBytesPerSecond: pcie4,
  },
  h100: {
    product: 'NVIDIA H100 80GB (SXM)',
    memoryBytes: 80 * gib,
    reportedBytes: 81_559 * mib,
    flopsPerSecond: 989e12,
    float64FlopsPerSecond: 34e12,
    bytesPerSecond: 3350e9,
    linkBytesPerSecond: pcie5,
  },
} satisfies Record<string, CardSheet>);

export type CardName = keyof typeof cardSheets;

/** Cards that can be planned for without being there. */
export const cardNames = Object.freeze(Object.keys(cardSheets) as CardName[]);
