import Runtime from 'jest-runtime';

/**
 * What suites with one environment load by: the modules that it has loaded stay.
 * @type {Runtime | undefined}
 */
let shared;

/**
 * Jest's loader of modules. Most suites load some hundred modules of the libraries, which takes
 * longer than their tests: where the environment is shared (test-environment.mjs), a worker loads
 * each module once. The framework itself begins anew with every suite.
 */
export default class TestRuntime extends Runtime {
  /** @type {Runtime | undefined} */
  #shared;

  /** @param {ConstructorParameters<typeof Runtime>} given */
  constructor(...given) {
    super(...given);
    const [, environment] = given;
    if ('isShared' in environment && environment.isShared)
      this.#shared = shared ??= new Runtime(...given);
  }

  /**
   * @param {Parameters<Runtime['unstable_importModule']>} given
   * @override
   */
  async unstable_importModule(...given) {
    return this.#shared
      ? this.#shared.unstable_importModule(...given)
      : super.unstable_importModule(...given);
  }

  /**
   * Packages of the framework, such as `expect`, are loaded once, too.
   * @template T
   * @param {string} from
   * @param {string} [to]
   * @returns {T}
   * @override
   */
  requireInternalModule(from, to) {
    return this.#shared && to !== undefined && !to.startsWith('.')
      ? this.#shared.requireInternalModule(from, to)
      : super.requireInternalModule(from, to);
  }

  /** @override */
  getSourceMaps() {
    return this.#shared ? this.#shared.getSourceMaps() : super.getSourceMaps();
  }
}
