/** Kinds of CDI and of volume snapshots, as far as their fields are read. */
import type {
  V1beta1DataSourceSource,
  V1beta1DataVolumeSpec,
} from '@kubevirt-ui-ext/kubevirt-api/containerized-data-importer'
import type { Condition, KubeObject, NamespacedMeta } from './meta.ts'

/** Where the data of a DataVolume comes from. */
export type DataVolumeSources = Pick<V1beta1DataVolumeSpec, 'source' | 'sourceRef'>

/** A claim that is filled with data. */
export interface DataVolume extends KubeObject {
  metadata: NamespacedMeta
  spec?: V1beta1DataVolumeSpec
  status?: { phase?: string; progress?: string; claimName?: string; conditions?: Condition[] }
}

/** A name for the newest data of its kind. */
export interface DataSource extends KubeObject {
  metadata: NamespacedMeta
  spec?: { source?: V1beta1DataSourceSource }
}

/** What CDI has found out about the cluster; there is one, `config`. */
export interface CdiConfig extends KubeObject {
  status?: {
    /** Share of a file system that is not for images, as text such as `0.055`. */
    filesystemOverhead?: { global?: string; storageClass?: Record<string, string> }
  }
}
