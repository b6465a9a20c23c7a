import { invalidOption } from './options/checks.js';

/** What a hub takes for a name with its owner's. */
const mostHubNameCharacters = 200;

const hubName = /^[A-Za-z0-9][\w.-]*(\/[A-Za-z0-9][\w.-]*)?$/;

/** First parts of what people call their folders, which look like the owner of a model. */
const folders =
  /^(models?|checkpoints?|ckpts?|outputs?|out|results?|runs?|logs?|experiments?|saves?|data|datasets?|tmp|temp|home|root|mnt|content|workspace|work|users?|downloads?|cache)$/i;

/** @throws PipelineError PIPELINE_INVALID_OPTION for what could be a path on this machine */
export function assertHubName(name: string, value: string): void {
  if (!hubName.test(value) || value.length > mostHubNameCharacters)
    throw invalidOption(name, value, 'a name as on a hub, OWNER/NAME or NAME,');
}

/**
 * The name of a base model in its adapters: the given one, or what its config.json names where that
 * is a name on a hub with its owner's; null where it is not, or could be a path.
 */
export function baseNameOf(
  given: string | null,
  config: Readonly<Record<string, unknown>>,
): string | null {
  const known = config['_name_or_path'];
  if (given !== null) return given;
  if (typeof known !== 'string' || known.length > mostHubNameCharacters) return null;
  const owner = known.split('/', 1).join();
  const name = known.slice(owner.length + 1);
  const isPath = folders.test(owner) || /^checkpoint-\d+$/.test(name) || name === '';
  return hubName.test(known) && !isPath ? known : null;
}
