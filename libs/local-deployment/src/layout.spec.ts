import { instanceName, planServices, serviceEnvironment, stageAddressFlags } from './layout.js';

test('gives every process a port that further replicas do not move', () => {
  const ports = Object.fromEntries(
    planServices(7070, { 'emulator-builder': 3, corrector: 2, coordinator: 2 }).map(
      ({ name, port, metricsPort }) => [name, [port, metricsPort]],
    ),
  );
  expect(ports).toEqual({
    coordinator: [7070, 7170],
    calibrator: [7071, 7171],
    'emulator-builder': [7072, 7172],
    trainer: [7073, 7173],
    corrector: [7074, 7174],
    'emulator-builder-2': [7075, 7175],
    'emulator-builder-3': [7076, 7176],
    'corrector-2': [7077, 7177],
    'coordinator-2': [7078, 7178],
  });
  expect(planServices(0).every(({ port, metricsPort }) => port === 0 && metricsPort === 0)).toBe(
    true,
  );
});

test.each([
  [
    7070,
    { trainer: 2 },
    /trainer runs once, not 2 times; only emulator-builder, corrector, coordinator may/,
  ],
  [7070, { 'emulator-builder': 0 }, /emulator-builder runs 1 to 64 times, not 0/],
  [7070, { corrector: 0 }, /corrector runs 1 to 64 times, not 0/],
  [7070, { 'emulator-builder': 1.5 }, /not 1.5/],
  [65_500, {}, /port 65500/],
  [-1, {}, /port -1/],
])('refuses port %d with replicas %j', (port, replicas, message) => {
  expect(() => planServices(port, replicas)).toThrow(
    expect.objectContaining({
      code: 'DEPLOYMENT_INVALID_OPTION',
      message: expect.stringMatching(message),
    }),
  );
});

test('tells the coordinator the addresses of all replicas', () => {
  expect(
    stageAddressFlags(planServices(0, { 'emulator-builder': 2 }), (name) => `@${name}`),
  ).toEqual([
    '--calibrator-address',
    '@calibrator',
    '--emulator-builder-address',
    '@emulator-builder,@emulator-builder-2',
    '--trainer-address',
    '@trainer',
    '--corrector-address',
    '@corrector',
  ]);
});

test('names a process for all that share a NATS', () => {
  expect(instanceName("Ann's host.local", 'trainer')).toBe('Ann-s-host.local-trainer');
});

test('secrets of its own replace inherited ones; ways to a NATS of the user stay', () => {
  const inherited = {
    PATH: '/bin',
    EMLOC_BLAS_PATH: '/lib',
    EMLOC_NATS_TOKEN: 'old',
    EMLOC_STAGE_TOKEN_FILE: '/old',
  };
  expect(
    serviceEnvironment(inherited, { stageToken: 's', nats: { user: 'u', password: 'p' } }),
  ).toEqual({
    PATH: '/bin',
    EMLOC_BLAS_PATH: '/lib',
    EMLOC_NATS_USER: 'u',
    EMLOC_NATS_PASSWORD: 'p',
    EMLOC_STAGE_TOKEN: 's',
  });
  expect(serviceEnvironment(inherited, { stageToken: 's', nats: null })).toMatchObject({
    EMLOC_NATS_TOKEN: 'old',
    EMLOC_STAGE_TOKEN: 's',
  });
});
