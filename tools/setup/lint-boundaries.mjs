/**
 * Who may import whom, by the tag `layer:NAME` in each project's package.json. Nothing imports a
 * service, and no engine an implementation of devices or what names them. The planner in the
 * engines runs programs on the null device, which is tagged `device:null` for that.
 */
export const layers = Object.freeze({
  base: ['layer:base'],
  device: ['layer:base', 'layer:device'],
  'device-impl': ['layer:base', 'layer:device', 'layer:device-impl'],
  engine: ['layer:base', 'layer:device', 'device:null', 'layer:engine'],
  contracts: ['layer:contracts'],
  kit: ['layer:base', 'layer:device', 'layer:contracts', 'layer:kit'],
  stage: [
    'layer:base',
    'layer:device',
    'layer:device-impl',
    'layer:engine',
    'layer:contracts',
    'layer:kit',
    'layer:stage',
  ],
  service: [
    'layer:base',
    'layer:device',
    'layer:device-impl',
    'layer:engine',
    'layer:contracts',
    'layer:kit',
    'layer:stage',
  ],
  tool: [
    'layer:base',
    'layer:device',
    'layer:device-impl',
    'layer:engine',
    'layer:contracts',
    'layer:kit',
    'layer:stage',
    'layer:tool',
  ],
});

/**
 * @param {Readonly<Record<string, readonly string[]>>} allowed by layer, the tags that it may
 * import
 * @returns {Record<string, unknown>}
 */
export function boundaryRules(allowed) {
  return {
    '@nx/enforce-module-boundaries': [
      'error',
      {
        allow: [],
        // A package that is imported is in the importer's package.json (or the root's, for tools of
        // development).
        banTransitiveDependencies: true,
        depConstraints: Object.entries(allowed).map(([layer, tags]) => ({
          sourceTag: `layer:${layer}`,
          onlyDependOnLibsWithTags: [...tags],
        })),
      },
    ],
  };
}
