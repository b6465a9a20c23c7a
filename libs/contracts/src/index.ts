// Messages and services of `proto/`, generated; what they mean is said there.
export { archivedRowsName } from './archived-rows.js';
export * as tensorboardV1 from './generated/emloc/tensorboard/v1/event_pb.js';
export * from './generated/emloc/v1/calibrator_service_pb.js';
export * from './generated/emloc/v1/corrector_service_pb.js';
export * from './generated/emloc/v1/emulator_builder_service_pb.js';
export * from './generated/emloc/v1/job_pb.js';
export * from './generated/emloc/v1/job_service_pb.js';
export * from './generated/emloc/v1/report_pb.js';
export * from './generated/emloc/v1/stage_pb.js';
export * from './generated/emloc/v1/trainer_service_pb.js';
export * from './generated/emloc/v1/tune_options_pb.js';
export { field_behavior, FieldBehavior } from './generated/google/api/field_behavior_pb.js';
export * from './generated/google/rpc/error_details_pb.js';
export { type Status, StatusSchema } from './generated/google/rpc/status_pb.js';
export * as healthV1 from './generated/grpc/health/v1/health_pb.js';
export * as reflectionV1 from './generated/grpc/reflection/v1/reflection_pb.js';
export * as reflectionV1Alpha from './generated/grpc/reflection/v1alpha/reflection_pb.js';
export {
  fromTuneOptionsMessage,
  type PlainTuneOptions,
  toTuneOptionsMessage,
  withUploads,
  type UploadedDataset,
} from './tune-options.js';
