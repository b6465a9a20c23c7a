import { AsyncLocalStorage } from 'node:async_hooks';
import vm from 'node:vm';
import { TestEnvironment as NodeEnvironment } from 'jest-environment-node';

import { startsPrograms } from './test-sequencer.mjs';

/** What jest's framework keeps for a suite in the globals, under symbols with these names. */
const ofSuite = new Set(['EVENT_HANDLERS', 'JEST_STATE_SYMBOL']);

/**
 * What has run since the suite began. Jest's framework, which begins anew with every suite, leaves
 * one on, and each that is on makes every promise of the process slower: after a hundred suites,
 * hundreds of times.
 * @type {Set<AsyncLocalStorage<unknown>>}
 */
const storages = new Set();
const { run } = AsyncLocalStorage.prototype;
AsyncLocalStorage.prototype.run =
  /**
   * @template R
   * @template {unknown[]} A
   * @param {unknown} store
   * @param {(...args: A) => R} callback
   * @param {A} args
   * @this {AsyncLocalStorage<unknown>}
   */
  function noted(store, callback, ...args) {
    storages.add(this);
    return Reflect.apply(run, this, [store, callback, ...args]);
  };

/** @type {TestEnvironment | undefined} */
let shared;

/**
 * Jest's environment for Node, where a global (`Math`, `Float64Array`) is found as fast as in a
 * program: jest's own looks every one up through a proxy, which makes loops over numbers several
 * times slower.
 *
 * Suites that start no programs have one environment in common in each worker, and with it the
 * modules that they load (test-runtime.mjs); not while jest watches files, since those change.
 */
export default class TestEnvironment extends NodeEnvironment {
  /** Whether other suites run here, too. */
  isShared = false;
  /** @type {NodeJS.ProcessEnv} */
  #variables = {};
  /** @type {NodeJS.Process['exit'] | undefined} */
  #exit;

  /** @param {ConstructorParameters<typeof NodeEnvironment>} given */
  constructor(...given) {
    const [{ globalConfig }, { testPath }] = given;
    const isWatching = globalConfig.watch || globalConfig.watchAll;
    const isShared = !isWatching && !startsPrograms(testPath);
    if (isShared && shared) return shared;
    const { createContext } = vm;
    vm.createContext = () => createContext(vm.constants.DONT_CONTEXTIFY);
    try {
      super(...given);
    } finally {
      vm.createContext = createContext;
    }
    if (isShared) this.#share();
  }

  #share() {
    const { process } = this.global;
    this.isShared = true;
    this.#variables = { ...process.env };
    this.#exit = process.exit;
    shared = this;
  }

  /**
   * One that is shared is as it was before the suite, but for the modules that it has loaded.
   * @override
   */
  async teardown() {
    for (const storage of storages) storage.disable();
    storages.clear();
    if (!this.isShared) return super.teardown();
    const { global } = this;
    for (const symbol of Object.getOwnPropertySymbols(global))
      if (ofSuite.has(symbol.description ?? '')) Reflect.deleteProperty(global, symbol);
    const { env } = global.process;
    for (const name of Object.keys(env))
      if (!Object.hasOwn(this.#variables, name)) delete env[name];
    Object.assign(env, this.#variables);
    // Wrapped for every suite.
    if (this.#exit) global.process.exit = this.#exit;
  }
}
