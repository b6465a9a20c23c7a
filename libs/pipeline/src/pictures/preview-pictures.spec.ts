import { openPictureWorkspace, type PictureWorkspace } from '../../test/picture-workspace.js';
import { modelKind } from '../job/model-kind.js';
import { previewRows } from '../job/preview.js';
import { resolvePreviewOptions } from '../options/resolve.js';
import { previewPictures } from './preview-pictures.js';

let workspace: PictureWorkspace;

beforeAll(async () => {
  workspace = await openPictureWorkspace(5);
});

afterAll(() => workspace.close());

describe('previewPictures', () => {
  it('says what becomes of each picture', async () => {
    const { model, pictures: data } = workspace;
    const options = { model, data, instancePrompt: 'a photo of sks', resolution: 16 };
    const { rows, report } = await previewPictures(resolvePreviewOptions(options));

    expect(report).toMatchObject({ pictures: 5, distinctCaptions: 1, flipped: 0 });
    expect(rows.map(({ plan }) => [plan.resize, plan.crop.left])).toEqual(
      Array(5).fill([{ width: 20, height: 16 }, 2]),
    );
  });

  it('mirrors and cuts by the seed', async () => {
    const { model, pictures: data } = workspace;
    const plans = async (seed: number): Promise<unknown> => {
      const sizes = { resolution: 16, crop: 'random', flip: true, seed } as const;
      const options = { model, data, instancePrompt: 'a', ...sizes };
      const { rows } = await previewPictures(resolvePreviewOptions(options));
      return rows.map(({ plan }) => plan);
    };

    expect(await plans(1)).toEqual(await plans(1));
    expect(await plans(1)).not.toEqual(await plans(2));
  });

  it('takes options of pictures alone, as rows take those of text', async () => {
    const { model, pictures: data } = workspace;
    expect(await modelKind(model)).toBe('pictures');
    expect(() => previewPictures(resolvePreviewOptions({ model, data, limit: 3 }))).toThrow(
      'option limit: this model makes pictures',
    );
    await expect(
      previewRows(resolvePreviewOptions({ model, data, flip: true }), {}).next(),
    ).rejects.toThrow('option flip: this model writes text');
  });
});
