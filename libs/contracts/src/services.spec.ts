import { getOption, type DescService } from '@bufbuild/protobuf';

import {
  CalibratorService,
  CorrectorService,
  EmulatorBuilderService,
  field_behavior,
  FieldBehavior,
  JobSchema,
  JobService,
  StageCallSchema,
  TrainerService,
} from './index.js';

const stageServices: readonly DescService[] = [
  CalibratorService,
  EmulatorBuilderService,
  TrainerService,
  CorrectorService,
];

describe('emloc.v1', () => {
  it.each(
    stageServices.flatMap((service) =>
      service.methods.map((method) => [`${service.name}.${method.name}`, method] as const),
    ),
  )('%s takes a stage call and streams events, then a result', (_, method) => {
    expect(method.methodKind).toBe('server_streaming');
    expect(method.input.fields[0]?.message).toBe(StageCallSchema);
    const [content] = method.output.oneofs;
    expect(content?.fields.map(({ name }) => name)).toEqual(['event', 'result']);
  });

  it('offers the methods of the job service', () => {
    expect(JobService.methods.map(({ name, methodKind }) => [name, methodKind])).toEqual([
      ['CreateJob', 'unary'],
      ['GetJob', 'unary'],
      ['ListJobs', 'unary'],
      ['CancelJob', 'unary'],
      ['DeleteJob', 'unary'],
      ['WatchJob', 'server_streaming'],
      ['ListArtifacts', 'unary'],
      ['DownloadArtifact', 'server_streaming'],
      ['UploadDataset', 'client_streaming'],
      ['PlanJob', 'unary'],
    ]);
  });

  it('marks what only the server sets', () => {
    const behaviours = Object.fromEntries(
      JobSchema.fields.map((field) => [field.name, getOption(field, field_behavior)]),
    );
    expect(behaviours['name']).toEqual([FieldBehavior.IDENTIFIER]);
    expect(behaviours['options']).toEqual([FieldBehavior.REQUIRED, FieldBehavior.IMMUTABLE]);
    for (const name of ['state', 'error', 'report', 'create_time', 'end_time'])
      expect(behaviours[name]).toEqual([FieldBehavior.OUTPUT_ONLY]);
  });
});
