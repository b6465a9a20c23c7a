import { ModelError } from './errors.js';

/** Typed access to config.json; every refusal names the key and its value. */
export class ConfigReader {
  constructor(private readonly values: Readonly<Record<string, unknown>>) {}

  has(key: string): boolean {
    return this.values[key] !== undefined && this.values[key] !== null;
  }

  get(key: string): unknown {
    return this.values[key];
  }

  positiveInteger(key: string, fallback?: number): number {
    const value = this.has(key) ? this.values[key] : fallback;
    if (typeof value !== 'number' || !Number.isInteger(value) || value <= 0)
      throw this.#invalid(key, 'a positive integer');
    return value;
  }

  positiveNumber(key: string, fallback?: number): number {
    const value = this.has(key) ? this.values[key] : fallback;
    if (typeof value !== 'number' || !(value > 0)) throw this.#invalid(key, 'a positive number');
    return value;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.has(key) ? this.values[key] : fallback;
    if (typeof value !== 'boolean') throw this.#invalid(key, 'true or false');
    return value;
  }

  /** Refuses every value but those given; a missing or null key passes. */
  only(key: string, supported: readonly unknown[]): void {
    if (!this.has(key) || supported.includes(this.values[key])) return;
    throw new ModelError(
      'MODEL_UNSUPPORTED_CONFIG',
      `config.json: ${key} = ${JSON.stringify(this.values[key])} is not supported (only ${supported.map((value) => JSON.stringify(value)).join(', ')})`,
    );
  }

  /** Refuses a key that is present at all. */
  absent(key: string): void {
    if (!this.has(key)) return;
    throw new ModelError(
      'MODEL_UNSUPPORTED_CONFIG',
      `config.json: ${key} is not supported: ${JSON.stringify(this.values[key])}`,
    );
  }

  /**
   * The base of the rotary embedding, from `rope_parameters` (transformers 5) or `rope_theta`
   * (before).
   * @throws ModelError for any scaling.
   */
  ropeTheta(fallback: number): number {
    this.absent('rope_scaling');
    const parameters = this.values['rope_parameters'];
    if (typeof parameters !== 'object' || parameters === null)
      return this.positiveNumber('rope_theta', fallback);
    const nested = new ConfigReader(parameters as Record<string, unknown>);
    nested.only('rope_type', ['default']);
    nested.only('partial_rotary_factor', [1]);
    for (const key of [
      'factor',
      'short_factor',
      'long_factor',
      'low_freq_factor',
      'high_freq_factor',
    ])
      nested.absent(key);
    return nested.positiveNumber('rope_theta', fallback);
  }

  #invalid(key: string, expected: string): ModelError {
    return new ModelError(
      'MODEL_INVALID_CONFIG',
      `config.json: ${key} must be ${expected}, got ${JSON.stringify(this.values[key])}`,
    );
  }
}
