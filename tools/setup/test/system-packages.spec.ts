import { ensureSystemPackages, type System, type SystemPackage } from '../system-packages.mjs';

interface Recorded {
  readonly host: System;
  readonly apt: (readonly string[])[];
  readonly said: string[];
  readonly stopped: string[];
}

function fakeSystem(overrides: Partial<System> = {}): Recorded {
  const apt: (readonly string[])[] = [];
  const said: string[] = [];
  const stopped: string[] = [];
  const host: System = {
    isRoot: () => true,
    hasApt: () => true,
    mayInstall: () => true,
    apt: (args) => {
      apt.push(args);
      return 0;
    },
    stop: (unit) => void stopped.push(unit),
    say: (message) => void said.push(message),
    ...overrides,
  };
  return { host, apt, said, stopped };
}

function packageThatIs(
  state: 'there' | 'installable' | 'missing',
  apt: readonly (readonly string[])[] = [],
): SystemPackage {
  const probe = {
    there: () => true,
    installable: () => apt.some((args) => args.includes('installable')),
    missing: () => false,
  }[state];
  return { name: state, probe, why: 'it is slow' };
}

describe('ensureSystemPackages', () => {
  it('leaves the system alone when everything is there', () => {
    const { host, apt, said } = fakeSystem();
    expect(ensureSystemPackages([packageThatIs('there')], host)).toEqual([]);
    expect([apt, said]).toEqual([[], []]);
  });

  it('installs all missing packages with one update where it may', () => {
    const { host, apt } = fakeSystem();
    expect(
      ensureSystemPackages([packageThatIs('installable', apt), packageThatIs('there')], host),
    ).toEqual([]);
    expect(apt.map(([command]) => command)).toEqual(['update', 'install']);
    expect(apt[1]).toContain('installable');
  });

  it('stops the services that it has installed, and no others', () => {
    const { host, apt, stopped } = fakeSystem();
    ensureSystemPackages(
      [
        { ...packageThatIs('installable', apt), unit: 'new.service' },
        { ...packageThatIs('there'), unit: 'old.service' },
      ],
      host,
    );
    expect(stopped).toEqual(['new.service']);
  });

  it.each<[string, Partial<System>]>([
    ['the user is not root', { isRoot: () => false }],
    ['there is no apt', { hasApt: () => false }],
    ['EMLOC_SYSTEM_PACKAGES=skip', { mayInstall: () => false }],
  ])('only says what to install when %s', (_, overrides) => {
    const { host, apt, said } = fakeSystem(overrides);
    expect(ensureSystemPackages([packageThatIs('missing')], host).map(({ name }) => name)).toEqual([
      'missing',
    ]);
    expect(apt).toEqual([]);
    expect(said.join('\n')).toContain('apt-get install missing');
  });
});
