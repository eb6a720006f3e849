/**
 * `restoreVirtualMachine`: the instance is installed anew, from its own template or from another.
 *
 * Its records rise by one incarnation, and so its root disk has another id. Names, addresses, keys
 * and user data stay, as CloudStack leaves them. Whoever installs anew waits for a password anew.
 */

import type { Writable } from "../../../model/binding.ts";
import type { InstanceRecord } from "../../../model/record.ts";
import { oneOf, TEMPLATES } from "../catalogue.ts";
import { type Command, define } from "../command.ts";
import { hasPassword, newSecret } from "../passwords.ts";
import { answerOf } from "../view.ts";
import { incarnationOf } from "../volumes.ts";

export const restore: Command = define({
  kind: "job",
  // CloudStack's own answer to this command is called so.
  answerName: "restorevmresponse",
  params: {
    virtualmachineid: { kind: "text", required: true },
    templateid: { kind: "text" },
  },
  begin: async (given, { lab }) => {
    const { id } = await lab.get(given.virtualmachineid, "virtualmachineid");
    const template =
      given.templateid === undefined ? undefined : oneOf(TEMPLATES, given.templateid, "templateid");

    const work = async () => {
      const { management, records } = await lab.get(id, "virtualmachineid");
      const next = incarnationOf(records) + 1;
      const templateid = template?.id ?? management.templateid;
      const secret = hasPassword(templateid) ? newSecret(undefined) : undefined;
      await lab.update(id, (record, isFirst): InstanceRecord => {
        const changed: Writable<InstanceRecord> = { ...record };
        // A record that is written twice, because another writer came between, rises once.
        changed.incarnation = Math.max(next, record.incarnation);
        if (template !== undefined) changed.template = template.name;
        // What waits is for a template that had passwords.
        if (template !== undefined) delete changed.password;
        if (isFirst && secret !== undefined) changed.password = secret;
        return changed;
      });
      await lab.instances.put([[id, { ...management, templateid, restored: lab.ports.now() }]]);
      return answerOf(lab, id, secret && { password: secret.password });
    };
    return { instance: id, work };
  },
});
