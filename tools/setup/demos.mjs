/** What `npm run demo` can show: for each example its files and how it is tuned. */

/**
 * @typedef {object} Demo
 * @property {string} model base model
 * @property {string} train data to fine-tune on
 * @property {string} test data to score on
 * @property {string} adapter where the adapter goes, from the repository root
 * @property {readonly string[]} tuneFlags
 * @property {Pictures} [pictures] where the model makes pictures
 */

/**
 * @typedef {object} Pictures
 * @property {string} prompt what the pictures show that it is tuned on
 * @property {readonly string[]} prompts what it makes pictures of, before and after
 * @property {number} resolution
 */

/** @type {Readonly<Record<string, Demo>>} */
const demos = Object.freeze({
  text: {
    model: 'examples/models/demo-5m',
    train: 'examples/data/train.jsonl',
    test: 'examples/data/test.jsonl',
    adapter: 'out/demo-adapter',
    tuneFlags: ['--vram', '24MiB', '--steps', '160', '--lr', '3e-3', '--max-length', '128'],
  },
  images: {
    model: 'examples/images/model',
    train: 'examples/images/data/train.jsonl',
    test: 'examples/images/data/test.jsonl',
    adapter: 'out/demo-images-adapter',
    tuneFlags: ['--steps', '600', '--batch', '8', '--lr', '3e-3'],
  },
  flux: {
    model: 'examples/flux/model',
    train: 'examples/flux/data/subject',
    test: 'examples/flux/data/test',
    adapter: 'out/demo-flux-adapter',
    tuneFlags: [
      ...['--ratio', '0.45', '--rank', '16', '--alpha', '16'],
      ...['--steps', '400', '--lr', '1e-3', '--refine-steps', '100'],
      ...['--flip', '--noise-scheme', 'shift'],
      ...['--class-data', 'examples/flux/data/others', '--prior-weight', '0.5'],
    ],
    pictures: {
      prompt: 'a picture of sks toy',
      prompts: [
        'a picture of sks toy on a blue background',
        'a picture of sks toy on a green background',
        'sks toy and a red ball',
        'a picture of a blue car',
      ],
      resolution: 96,
    },
  },
});

/**
 * The example that the arguments name, `text` without `--example NAME`; all others are flags of
 * `emloc tune` and come after its own.
 * @param {readonly string[]} args
 * @returns {Demo}
 * @throws {Error} for an example that is not there
 */
export function demoOf(args) {
  const place = args.indexOf('--example');
  const name = place < 0 ? 'text' : (args[place + 1] ?? '');
  const own = place < 0 ? args : args.toSpliced(place, 2);
  if (!Object.hasOwn(demos, name))
    throw new Error(`--example ${name}: one of ${Object.keys(demos).join(', ')} expected`);
  const demo = /** @type {Demo} */ (demos[name]);
  return { ...demo, tuneFlags: [...demo.tuneFlags, ...own] };
}
