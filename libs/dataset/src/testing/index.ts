export { writePieceModel } from './write-piece-model.js';
