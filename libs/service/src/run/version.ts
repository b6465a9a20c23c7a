import manifest from '../../package.json' with { type: 'json' };

/** Version of the program that all workspaces are part of. */
export const programVersion: string = manifest.version;
